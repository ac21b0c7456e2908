// The program as users meet it: exit codes, one sentence per error, whole files or none.

#include "cli/program.h"
#include "support/files.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "io/image.h"
#include "io/safetensors.h"
#include "request/request.h"
#include "sampling/samplers.h"
#include "sampling/schedules.h"

namespace fourstep {
namespace {

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

size_t longest_line(const std::string& text) {
  size_t longest = 0;
  for (const std::string& line : split_text(text, '\n')) longest = std::max(longest, line.size());
  return longest;
}

TEST_F(Program, GenerateWritesAnImageWithItsSettingsInside) {
  const Outcome outcome =
      generate("--seed 7 --json --out " + path("cat.png") + " --latents " +
               path("cat.safetensors") + " --lora " + path("lora.safetensors") + ":0.5");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  const auto json = nlohmann::json::parse(outcome.text);
  EXPECT_EQ(json["images"][0]["seed"], 7);
  EXPECT_EQ(json["loras"][0], "lora.safetensors: 4/4 modules");
  const Image image = read_image(path("cat.png"));
  EXPECT_EQ(image.pixels.sizes(), (Shape{64, 64, 3}));
  EXPECT_EQ(image.text.at("parameters").rfind("a cat <lora:lora:0.5>\nSteps: 2, Sampler: Euler", 0),
            0u)
      << image.text.at("parameters");
  EXPECT_EQ(open_safetensors(path("cat.safetensors")).tensors.at("latent").sizes(),
            (Shape{1, 4, 8, 8}));
}

TEST_F(Program, TagsNameLorasAndStayInThePromptOnce) {
  std::filesystem::create_directories(path("loras/sub"));
  std::filesystem::copy_file(path("lora.safetensors"), path("loras/sub/Ink.safetensors"));
  const std::string prompt = "'a (cat:1.2) <lora:ink:0:0.5>'";
  const Outcome outcome = run("generate " + prompt + " --model " + path("tiny.safetensors") +
                              " --lora-dir " + path("loras") +
                              " --width 64 --height 64 --steps 2 --precision fp32 -q --seed 7 "
                              "--json --out " +
                              path("tagged.png"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  EXPECT_EQ(nlohmann::json::parse(outcome.text)["loras"][0], "Ink.safetensors: 4/4 modules");
  const std::string line = read_image(path("tagged.png")).text.at("parameters");
  EXPECT_EQ(line.rfind("a (cat:1.2) <lora:ink:0:0.5>\nSteps: 2", 0), 0u) << line;
  EXPECT_NE(line.find("Lora hashes: \"Ink: "), std::string::npos) << line;
}

TEST_F(Program, HelpHasEveryFlagUnderTheHeadingOfItsGroup) {
  const Outcome help = run("generate --help");
  ASSERT_EQ(help.exit_code, 0);
  Request request;
  visit_field_groups(request, [&](const char* next) {
    const size_t begin = help.text.find(std::string("\n") + next + ":\n");
    const size_t end = help.text.find("\n\n", begin);
    EXPECT_NE(begin, std::string::npos) << next;
    return [&, group = help.text.substr(begin, end - begin)](const FieldInfo& field, auto&) {
      if (field.name == "prompt") return;
      const std::regex row("\n  (-.,)?" + flag_name(field) + "[ \n]");
      EXPECT_TRUE(std::regex_search(group, row)) << flag_name(field);
    };
  });
  EXPECT_LE(longest_line(help.text), 120u);
}

TEST_F(Program, HelpHasEverySamplerAndScheduleAsAWord) {
  const std::string text = run("generate --help").text;
  for (const SamplerRow& row : sampler_rows()) {
    EXPECT_NE(text.find(fmt::format("\n  {} ", row.name)), std::string::npos) << row.name;
  }
  for (const auto& row : schedule_rows()) {
    EXPECT_NE(text.find(fmt::format("\n  {} ", row.name)), std::string::npos) << row.name;
  }
}

TEST_F(Program, UsedTextualInversionsAreNamedByTheirHashes) {
  std::filesystem::create_directories(path("embeddings"));
  testing::write_tiny_inversion(path("embeddings/blue.safetensors"));
  testing::write_tiny_inversion(path("embeddings/red.safetensors"));
  const Outcome outcome = generate("--embedding-dir " + path("embeddings") +
                                   " --negative-prompt blue --cfg-scale 3 --out " + path("ti.png"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  const std::string line = read_image(path("ti.png")).text.at("parameters");
  EXPECT_TRUE(std::regex_search(line, std::regex("TI hashes: \"blue: [0-9a-f]{12}\""))) << line;
}

TEST_F(Program, EveryImageOfARandomPromptEqualsItsSingleRun) {
  const auto make = [&](const std::string& name, const std::string& options) {
    std::filesystem::create_directory(path(name));
    const Outcome outcome =
        run("generate '{a|the} {cat|fox} [cat:fox:{0|1}]' --model " + path("tiny.safetensors") +
            " --width 64 --height 64 --steps 2 --precision fp32 -q --json --out " +
            path(name + "/") + " " + options);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.text;
    const auto json = nlohmann::json::parse(outcome.text);
    std::vector<Image> images;
    for (const auto& image : json["images"]) {
      images.push_back(read_image(image["file"].get<std::string>()));
    }
    return images;
  };
  const std::vector<Image> four = make("four", "--seed 5 --images 4");
  ASSERT_EQ(four.size(), 4u);
  std::set<std::string> prompts;
  for (const Image& image : four) {
    const std::string line = image.text.at("parameters");
    EXPECT_EQ(line.find('{'), std::string::npos) << line;
    prompts.insert(line.substr(0, line.find('\n')));
  }
  EXPECT_GT(prompts.size(), 1u);
  const std::vector<Image> last = make("last", "--seed 8");
  EXPECT_TRUE(torch::equal(last.at(0).pixels, four[3].pixels));
  EXPECT_EQ(last.at(0).text.at("parameters"), four[3].text.at("parameters"));
}

TEST_F(Program, SeedsAndSizesMakeOneImageEach) {
  const Outcome outcome = generate("--seeds 1,2 --size 64x64,72x64 --json --out " +
                                   path("many/new/") + " --latents " + path("latents/of/many/"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  const auto json = nlohmann::json::parse(outcome.text);
  ASSERT_EQ(json["images"].size(), 4u);
  EXPECT_EQ(json["images"][0]["request"]["seed"], 1);
  EXPECT_EQ(json["images"][1]["request"]["width"], 64);
  EXPECT_EQ(json["images"][3]["request"]["width"], 72);
  EXPECT_TRUE(std::filesystem::exists(path("latents/of/many/a-cat-1.safetensors")));
  EXPECT_EQ(json["images"][3]["width"], 72);
  for (const auto& image : json["images"]) {
    EXPECT_TRUE(std::filesystem::exists(image["file"].get<std::string>()));
  }
}

TEST_F(Program, ModelInspectTellsTheFamily) {
  const Outcome outcome = run("model inspect --json " + path("tiny.safetensors"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  EXPECT_NE(outcome.text.find("SDXL"), std::string::npos);
  EXPECT_NO_THROW(nlohmann::json::parse(outcome.text));
}

TEST_F(Program, BadOptionsAreRefusedInOneSentence) {
  expect_refusal(generate("--steps 0"), {"--steps", "1 to 1000"});
  expect_refusal(generate("--cfg-scale nan"), {"--cfg-scale"});
  expect_refusal(generate("--sampler eluer"), {"eluer", "euler"});
  expect_refusal(generate("--schedule karas"), {"karas", "karras"});
  expect_refusal(generate("--sizes 64"), {"--sizes", "WIDTHxHEIGHT"});
  expect_refusal(generate("--timesteps 10,999"), {"--timesteps", "fall"});
  expect_refusal(generate("--vae-precision int4"), {"--vae-precision", "int4"});
  expect_refusal(generate("--stepps 4"), {"--stepps", "did you mean --steps"});
  expect_refusal(run("paint 'a cat'"), {"subcommand"});
  expect_refusal(generate("--device gpu"), {"--device", "gpu"});
  expect_refusal(generate("--out " + path("x.bmp")), {"x.bmp"});
  expect_refusal(generate("--threads 200000"), {"--threads"});
  expect_refusal(generate("--latents " + path("nowhere/x.safetensors")), {"nowhere"});
  expect_refusal(run("generate 'a cat' --model " + std::string(400, 'x')), {"xxx"});
}

TEST_F(Program, UnreadableFilesAreRefusedInOneSentence) {
  const std::string start = "generate cat --width 64 --height 64 --model ";
  expect_refusal(run(start + path("missing.safetensors")), {"missing.safetensors"});
  write_text(path("empty.safetensors"), "");
  expect_refusal(run(start + path("empty.safetensors")), {"empty.safetensors", "empty"});
  write_text(path("page.safetensors"), "<!DOCTYPE html><html></html>");
  expect_refusal(run(start + path("page.safetensors")), {"page.safetensors", "web page"});
  expect_refusal(run(start + path("lora.safetensors")), {"lora.safetensors", "LoRA"});
  std::filesystem::copy_file(path("tiny.safetensors"), path("cut.safetensors"));
  std::filesystem::resize_file(path("cut.safetensors"), 1'000'000);
  expect_refusal(run(start + path("cut.safetensors")), {"cut.safetensors"});
  expect_refusal(run("model inspect " + path("cut.safetensors")), {"cut.safetensors"});
}

TEST_F(Program, ALoraOfAnotherFamilyIsRefusedWithBothNames) {
  write_safetensors(
      path("sd15.safetensors"),
      {{"lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight",
        torch::randn({4, 768})},
       {"lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k.lora_up.weight",
        torch::randn({1280, 4})}});
  expect_refusal(generate("--lora " + path("sd15.safetensors")), {"sd15.safetensors", "SD 1.5"});
  expect_refusal(generate("--lora " + path("tiny.safetensors")), {"tiny.safetensors"});
  expect_refusal(generate("--lora lora2"), {"lora2", "nearest: lora,"});
  expect_refusal(generate("--lora-dir " + path("nowhere") + " --lora x"),
                 {"--lora-dir", "nowhere"});
  expect_refusal(generate("--lora " + path("lora.safetensors") + ":1e999"), {"lora.safetensors"});
}

TEST_F(Program, NothingIsLeftBehindWhereTheOutputCannotBeWritten) {
  const size_t before = std::distance(std::filesystem::directory_iterator(folder_->path()), {});
  const Outcome outcome = generate("--out " + path("no-such-folder/cat.png"));
  expect_refusal(outcome, {"no-such-folder"});
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_->path()), {}),
            static_cast<ptrdiff_t>(before));
}

TEST_F(Program, StandardOutputTakesOnePng) {
  const Outcome outcome = generate("--seed 7 -o - > " + path("piped.png"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  EXPECT_EQ(outcome.text, "");
  const Outcome named = generate("--seed 7 -o " + path("named.png"));
  ASSERT_EQ(named.exit_code, 0) << named.text;
  EXPECT_EQ(testing::read_file(path("piped.png")), testing::read_file(path("named.png")));
  expect_refusal(generate("-o - --json"), {"--json", "standard output"});
  expect_refusal(generate("-o - --images 2"), {"2 images"});
  expect_refusal(generate("--latents - -o " + path("x.png")), {"--latents", "standard output"});
  expect_refusal(run("generate cat --model " + path("tiny.safetensors") +
                     " --width 64 --height 64 --steps 1 -q -o - > /dev/full"),
                 {"standard output"});
}

TEST_F(Program, HabitsOfOtherProgramsWork) {
  const std::string end = " --steps 2 --precision fp32 -q --model " + path("tiny.safetensors");
  const Outcome ours =
      run("generate 'a fox' --negative-prompt dog --seed 7 --width 64 --height 72 "
          "--cfg-scale 3 --sampler euler_ancestral --schedule normal --out " +
          path("ours.png") + end);
  ASSERT_EQ(ours.exit_code, 0) << ours.text;
  const Outcome theirs =
      run("generate -p 'a fox' -n dog -s 7 -W 64 -H 72 --cfg_scale=3 "
          "--sampling-method euler_a --scheduler discrete -t 1 -o " +
          path("theirs.png") + end);
  ASSERT_EQ(theirs.exit_code, 0) << theirs.text;
  EXPECT_EQ(testing::read_file(path("ours.png")), testing::read_file(path("theirs.png")));
  const Outcome odd =
      run("generate -o " + path("odd.png") + " -W 64 -H 64" + end + " -- '--odd prompt'");
  ASSERT_EQ(odd.exit_code, 0) << odd.text;
  EXPECT_EQ(read_image(path("odd.png")).text.at("parameters").rfind("--odd prompt\n", 0), 0u);
}

TEST_F(Program, NumbersAreExplainedWhereTheyAreWrittenAsElsewhere) {
  expect_refusal(generate("--cfg 1,5"), {"--cfg-scale", "1.5 with a point"});
  expect_refusal(generate("--lora x:0,7"), {"x", "0.7 with a point"});
  expect_refusal(generate("--lora x:70%"), {"0.7 for 70%"});
  expect_refusal(generate("--lora x:"), {"no weight behind the colon"});
  expect_refusal(generate("--steps 4.5"), {"whole number"});
  expect_refusal(generate("--steps=-1"), {"1 to 1000"});
  expect_refusal(generate("--steps="), {"--steps", "empty"});
  expect_refusal(generate("--vae ''"), {"--vae", "empty"});
  expect_refusal(generate("--seeds 1,,2"), {"--seeds", "empty"});
  expect_refusal(run("generate 'a <lora:x:0,7>' --model " + path("tiny.safetensors")),
                 {"<lora:x", "0.7 with a point"});
}

TEST_F(Program, HelpFitsTheColumns) {
  for (const auto& [columns, width] : {std::pair{"80", 80u}, {"120", 120u}, {"500", 120u}}) {
    for (const char* command : {"generate", "train-lora", "lora merge", "inspect schedule"}) {
      const Outcome help = run("--version >/dev/null; COLUMNS=" + std::string(columns) +
                               " " FOURSTEP_PROGRAM " " + command + " --help");
      EXPECT_LE(longest_line(help.text), width) << command;
    }
  }
}

TEST_F(Program, WhatCannotBeWrittenIsRefusedBeforeSampling) {
  // A thousand steps would take minutes.
  const auto refused = [](const std::string& out) { return generate("--steps 1000 --out " + out); };
  expect_refusal(refused(path(std::string(300, 'x') + ".png")), {"shorter name"});
  std::filesystem::create_symlink("/dev/null", path("null.png"));
  expect_refusal(refused(path("null.png")), {"null.png", "device"});
  expect_refusal(
      refused(path("a.png") + " --latents " + path(std::string(300, 'x') + ".safetensors")),
      {"shorter name"});
}

TEST_F(Program, ALongPromptIsToldOfBeforeSamplingAndTheImageIsWritten) {
  std::string prompt;
  for (int i = 0; i < 4000; ++i) prompt += "a red cat ";
  const std::string command = "generate '" + prompt + "' --model " + path("tiny.safetensors") +
                              " --width 64 --height 64 --steps 1 --precision fp32 --json --out ";
  const Outcome outcome = run(command + path("long.jpg") + " 2>/dev/null");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  const auto notices = nlohmann::json::parse(outcome.text)["notices"].dump();
  EXPECT_NE(notices.find("\\\"fourstep\\\" (the whole request as JSON) is left out"),
            std::string::npos)
      << notices;
  const ImageText text = read_image(path("long.jpg")).text;
  EXPECT_EQ(text.count("fourstep"), 0u);
  EXPECT_TRUE(text.at("parameters").starts_with(prompt)) << "whole";
}

TEST_F(Program, NoFolderOfTheMachineIsInsideAnImage) {
  std::filesystem::create_directories(path("loras"));
  std::filesystem::copy_file(path("lora.safetensors"), path("loras/ink2.safetensors"));
  for (const std::string extension : {".png", ".jpg", ".webp"}) {
    const Outcome outcome = generate(
        "--seed 7 --unet " + path("tiny.safetensors") + " --vae " + path("tiny.safetensors") +
        " --lora " + path("loras/ink2.safetensors") + " --lora-dir " + path("loras") +
        " --embedding-dir " + path("loras") + " --wildcards " + path("loras") + " --latents " +
        path("shared.safetensors") + " --out " + path("shared" + extension));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
    const std::string folder = folder_->path().filename().string();
    for (const auto& [name, value] : read_image(path("shared" + extension)).text) {
      EXPECT_EQ(value.find(folder), std::string::npos) << name << ": " << value;
    }
    EXPECT_EQ(testing::read_file(path("shared.safetensors")).find(folder), std::string::npos);
  }
}

TEST_F(Program, APromptOfAnyScriptNamesItsFile) {
  std::filesystem::create_directory(path("named"));
  const Outcome outcome =
      run("generate '猫、🦊 café' --model " + path("tiny.safetensors") +
          " --width 64 --height 64 --steps 1 --precision fp32 -q --seed 3 --out " + path("named/"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  EXPECT_TRUE(std::filesystem::exists(path("named/猫-🦊-café-3.png")));
}

TEST_F(Program, AnImageHasOneLineForEachStage) {
  const Outcome outcome =
      run("generate 'a cat' --model " + path("tiny.safetensors") +
          " --width 64 --height 64 --steps 2 --precision fp32 --seed 3 --out " + path("lines.png"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  std::string stages;
  for (const std::string& line : split_text(outcome.text, '\n')) {
    if (line.find("█") != std::string::npos) stages += line.substr(0, line.find(' ')) + " ";
  }
  EXPECT_EQ(stages, "load sample decode ");
}

TEST_F(Program, LatentsReplaceNoFileThatIsRead) {
  const std::string lora = path("lora.safetensors");
  const std::string before = testing::read_file(lora);
  expect_refusal(generate("--lora " + lora + " --latents " + lora), {"another output"});
  EXPECT_EQ(testing::read_file(lora), before);
  expect_refusal(generate("--latents " + path("latents.png")), {"latents.png", ".safetensors"});
}

TEST_F(Program, LatentsInAFolderAreNamedSo) {
  std::filesystem::create_directory(path("latents"));
  const Outcome outcome =
      generate("--seed 3 --out " + path("c.png") + " --latents " + path("latents"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  EXPECT_TRUE(std::filesystem::exists(path("latents/a-cat-3.safetensors")));
}

TEST_F(Program, LostOutputIsNoSuccess) {
  for (const char* command : {"inspect schedule --json", "--version", "generate --help"}) {
    expect_refusal(run(std::string(command) + " > /dev/full"), {"standard output"});
  }
}

TEST_F(Program, FoldersThatAreNotThereAreNamed) {
  for (const char* flag : {"--lora-dir", "--wildcards", "--embedding-dir"}) {
    expect_refusal(generate(std::string(flag) + " " + path("nowhere")), {flag, "nowhere"});
  }
}

TEST_F(Program, CtrlCStopsWithoutAnImage) {
  const Outcome outcome =
      run("generate 'a cat' --model " + path("tiny.safetensors") +
          " --width 512 --height 512 --steps 1000 --precision fp32 -q --out " +
          path("stopped.png") + " & pid=$!; sleep 1.5; kill -INT $pid; wait $pid");
  EXPECT_EQ(outcome.exit_code, 130) << outcome.text;
  EXPECT_NE(outcome.text.find("cancelled"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(path("stopped.png")));
}

TEST_F(Program, EvaluateSaysWhatAStudentIs) {
  expect_refusal(run("evaluate --emoji --rows student --model " + path("tiny.safetensors")),
                 {"--lora"});
  expect_refusal(run("evaluate --emoji --rows teachers"), {"teachers", "student"});
}

TEST_F(Program, EvaluateTakesSeveralLoras) {
  const std::string small =
      " --classifier-iterations 1 --classifier-batch 1 --classifier-tests 1 --samples 0 "
      "--judged-prompts 1"
      " --diversity-prompts 0 --student-steps 1 --image-size 64 -q --out " +
      path("evaluation");
  const std::string model = "evaluate --emoji --rows student --model " + path("tiny.safetensors");
  const std::string lora = " --lora " + path("lora.safetensors");
  expect_refusal(run(model + small + lora + " --lora " + path("absent.safetensors:0.5")),
                 {"absent.safetensors"});
  const Outcome outcome = run(model + small + lora + ":0.5" + lora + " --json");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.text;
  const auto json = nlohmann::json::parse(outcome.text);
  EXPECT_EQ(json.at("settings").at("lora"),
            path("lora.safetensors:0.5") + ";" + path("lora.safetensors"));
  EXPECT_EQ(json.at("rows").at(0).at("row"), "student, 1 step");
  EXPECT_TRUE(json.at("rows").at(0).at("frechet_features").is_null());
}

TEST_F(Program, DistillTrainsAnyCheckpointAtItsNativeSizeAndSaysSo) {
  testing::write_tiny_sdxl(path("native.safetensors"), [](Checkpoint& checkpoint) {
    checkpoint.metadata["modelspec.resolution"] = "64x64";
  });
  testing::write_file(path("prompts.txt"), "a cat\na fox\n");
  const std::string model = "distill --model " + path("native.safetensors");
  const Outcome outcome =
      run(model + " --prompts " + path("prompts.txt") + " --out " + path("distilled") +
          " --iterations 2 --batch 2 --student-rank 2 --critic-rank 2 --no-decoupled"
          " --sample-every 2 --threads 1");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  EXPECT_NE(outcome.text.find("trains at 64x64 px, the native size of native.safetensors"),
            std::string::npos)
      << outcome.text;
  EXPECT_TRUE(std::filesystem::exists(path("distilled/sheet-000002.png")));
  EXPECT_EQ(generate("--lora " + path("distilled/dmd2_4step_lora_fp16.safetensors")).exit_code, 0);
  expect_refusal(run(model), {"--prompts", "--emoji"});
  expect_refusal(run(model + " --prompts " + path("prompts.txt") + " --pair-share 0.5"),
                 {"--pair-share 0.5", "--emoji"});
}

TEST_F(Program, EvaluateMeasuresPromptsOfAFile) {
  testing::write_file(path("prompts.txt"), "a cat\n");
  const Outcome outcome =
      run("evaluate --rows base --base-steps 1 --diversity-prompts 1 --diversity-samples 2 --json"
          " --resolution 64 -q --model " +
          path("tiny.safetensors") + " --prompts " + path("prompts.txt") + " --out " +
          path("measured"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  const auto json = nlohmann::json::parse(outcome.text);
  EXPECT_EQ(json.at("pictures_prompts"), 1);
  EXPECT_FALSE(json.contains("classifier"));
  EXPECT_GT(json.at("rows").at(0).at("diversity").get<double>(), 0);
  expect_refusal(run("evaluate --model " + path("tiny.safetensors")), {"--prompts", "--emoji"});
}

}  // namespace
}  // namespace fourstep
