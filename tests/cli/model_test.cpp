// fourstep model merge, convert, unbake, topup and lora detect, fingerprint, doctor as users meet them.

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "cli/program.h"
#include "io/safetensors.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

class Workbench : public Program {
 protected:
  static std::string lora(const std::string& weight = "") {
    return " --lora " + path("lora.safetensors") + (weight.empty() ? "" : ":" + weight);
  }
  static Outcome merge(const std::string& weight, const std::string& output,
                       const std::string& more = "") {
    return run("model merge -q --no-hashes " + path("tiny.safetensors") + lora(weight) + " -o " +
               path(output) + " " + more);
  }
};

TEST_F(Workbench, MergeDetectUnbakeAndTopUp) {
  const Outcome merged = merge("0.7", "merged.safetensors");
  ASSERT_EQ(merged.exit_code, 0) << merged.text;
  EXPECT_THAT(merged.text, HasSubstr("4/4 modules at 0.7"));

  const Outcome detected = run("lora detect -q --json " + path("merged.safetensors") + lora() +
                               " --base " + path("tiny.safetensors"));
  ASSERT_EQ(detected.exit_code, 0) << detected.text;
  const auto json = nlohmann::json::parse(detected.text);
  EXPECT_EQ(json["verdict"], "partial");
  EXPECT_NEAR(json["strength"].get<double>(), 0.7, 1e-4);
  EXPECT_EQ(json["module_strengths"].size(), 4U);

  const Outcome unbaked =
      run("model unbake -q --json --no-hashes " + path("merged.safetensors") + lora() + " --base " +
          path("tiny.safetensors") + " -o " + path("unbaked.safetensors"));
  ASSERT_EQ(unbaked.exit_code, 0) << unbaked.text;
  EXPECT_NEAR(nlohmann::json::parse(unbaked.text)["after"]["strength"].get<double>(), 0, 1e-4);

  const Outcome topped =
      run("model topup -q --no-hashes " + path("merged.safetensors") + lora() + " --base " +
          path("tiny.safetensors") + " --to 1 -o " + path("topped.safetensors"));
  ASSERT_EQ(topped.exit_code, 0) << topped.text;
  EXPECT_THAT(topped.text, HasSubstr("merged at +0.3000"));
}

TEST_F(Workbench, FingerprintStandsInForTheBase) {
  merge("1", "whole.safetensors");
  const Outcome made =
      run("lora fingerprint -q " + path("tiny.safetensors") + lora() + " -o " + path("tiny.json"));
  ASSERT_EQ(made.exit_code, 0) << made.text;
  const Outcome detected = run("lora detect -q " + path("whole.safetensors") + lora() +
                               " --fingerprint " + path("tiny.json"));
  ASSERT_EQ(detected.exit_code, 0) << detected.text;
  EXPECT_THAT(detected.text, HasSubstr("full: strength 1.0000"));
  EXPECT_THAT(detected.text, HasSubstr("fingerprint of \"tiny.safetensors\""));
}

TEST_F(Workbench, ConvertedModelsPaintTheSamePicture) {
  const Outcome folder =
      run("model convert -q " + path("tiny.safetensors") + " " + path("as_folder"));
  ASSERT_EQ(folder.exit_code, 0) << folder.text;
  ASSERT_EQ(
      generate("--seed 1 --latents " + path("1.safetensors") + " --out " + path("1.png")).exit_code,
      0);
  const Outcome again =
      run("generate 'a cat' --model " + path("as_folder") +
          " --width 64 --height 64 --steps 2 --precision fp32 -q --seed 1 --latents " +
          path("2.safetensors") + " --out " + path("2.png"));
  ASSERT_EQ(again.exit_code, 0) << again.text;
  EXPECT_TRUE(torch::equal(open_safetensors(path("1.safetensors")).tensors.at("latent"),
                           open_safetensors(path("2.safetensors")).tensors.at("latent")));
}

/// In fp32 nothing but the order of the work differs between merging and applying at run time: not a bit.
TEST_F(Workbench, MergedModelPaintsWhatTheLoraPaints) {
  ASSERT_EQ(merge("0.8", "m.safetensors", "--dtype fp32").exit_code, 0);
  const std::string rest =
      " --width 64 --height 64 --steps 2 --precision fp32 -q --seed 1 --out " + path("m.png");
  const Outcome merged = run("generate 'a cat' --model " + path("m.safetensors") + rest +
                             " --latents " + path("m1.safetensors"));
  const Outcome worn = run("generate 'a cat' --model " + path("tiny.safetensors") + lora("0.8") +
                           rest + " --latents " + path("m2.safetensors"));
  ASSERT_EQ(merged.exit_code + worn.exit_code, 0) << merged.text << worn.text;
  EXPECT_TRUE(torch::equal(open_safetensors(path("m1.safetensors")).tensors.at("latent"),
                           open_safetensors(path("m2.safetensors")).tensors.at("latent")));
}

TEST_F(Workbench, DoctorNamesFindingsAndRemedies) {
  const Outcome outcome =
      run("lora doctor -q --model " + path("tiny.safetensors") + lora("0.0001"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("4/4 modules"));
  EXPECT_THAT(outcome.text, HasSubstr("-> too little to see"));
}

TEST_F(Workbench, DoctorTellsWhatTheSamplerHasToDoWithIt) {
  std::filesystem::copy_file(path("lora.safetensors"), path("dmd2.safetensors"));
  const std::string doctor =
      "lora doctor -q --model " + path("tiny.safetensors") + " --lora " + path("dmd2.safetensors");
  const Outcome good = run(doctor), bad = run(doctor + " --cfg-scale 7");
  ASSERT_EQ(good.exit_code + bad.exit_code, 0) << good.text << bad.text;
  EXPECT_EQ(good.text.find("CFG"), std::string::npos) << good.text;
  EXPECT_THAT(bad.text, HasSubstr("7"));
  EXPECT_GT(bad.text.size(), good.text.size());
}

TEST_F(Workbench, BadInputIsRefusedInOneSentence) {
  expect_refusal(merge("1", "no/x.safetensors"), {"no folder"});
  expect_refusal(merge("1", "x.safetensors", "--dtype int4"), {"--dtype", "int4"});
  expect_refusal(merge("1", "x.safetensors", "--rounding up"), {"--rounding"});
  expect_refusal(merge("1", "tiny.safetensors"), {"name another output"});
  expect_refusal(
      run("model merge -q " + path("lora.safetensors") + lora() + " -o " + path("x.safetensors")),
      {"LoRA"});
  expect_refusal(
      run("lora detect -q " + path("tiny.safetensors") + " --lora " + path("tiny.safetensors")),
      {"full checkpoint"});
  expect_refusal(run("model unbake -q " + path("tiny.safetensors") + lora() + " --base " +
                     path("tiny.safetensors") + " -o " + path("x.safetensors")),
                 {"strength"});
  EXPECT_FALSE(std::filesystem::exists(path("x.safetensors")));
}

TEST_F(Workbench, PartsAndShardsBecomeOneCheckpoint) {
  const Checkpoint tiny = testing::tiny_sdxl();
  NamedTensors halves[2];
  for (const auto& [name, tensor] : tiny.components.at(Component::kUnet))
    halves[name < "mid" ? 0 : 1][name] = tensor;
  for (int i = 0; i < 2; ++i)
    write_safetensors(path(fmt::format("u-0000{}-of-00002.safetensors", i + 1)), halves[i]);
  for (const Component component :
       {Component::kVae, Component::kTextEncoder, Component::kTextEncoder2})
    write_safetensors(path(std::string(to_string(component)) + ".safetensors"),
                      tiny.components.at(component));
  const Outcome outcome = run("model convert -q " + path("u-00002-of-00002.safetensors") + " " +
                              path("joined.safetensors") + " --vae " + path("vae.safetensors") +
                              " --text-encoder " + path("text_encoder.safetensors") +
                              " --text-encoder-2 " + path("text_encoder_2.safetensors"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  const NamedTensors joined = open_safetensors(path("joined.safetensors")).tensors;
  const NamedTensors whole = open_safetensors(path("tiny.safetensors")).tensors;
  ASSERT_EQ(joined.size(), whole.size());
  for (const auto& [name, tensor] : whole)
    EXPECT_TRUE(torch::equal(joined.at(name), tensor)) << name;
  std::filesystem::remove(path("u-00001-of-00002.safetensors"));
  expect_refusal(run("model convert -q " + path("u-00002-of-00002.safetensors") + " " +
                     path("half.safetensors")),
                 {"u-00001-of-00002.safetensors", "1 of 2 shards are missing"});
  EXPECT_FALSE(std::filesystem::exists(path("half.safetensors")));
}

}  // namespace
}  // namespace fourstep
