// The verbs of `fourstep lora` as commands, on a tiny model and its LoRA.

#include <gmock/gmock.h>

#include <filesystem>

#include "cli/program.h"
#include "io/safetensors.h"
#include "support/files.h"

namespace fourstep {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class LoraCommand : public Program {
 protected:
  static Outcome lora(const std::string& arguments) { return run("lora " + arguments); }

  /// Of a verb that has to succeed.
  static std::string text_of(const std::string& arguments) {
    const Outcome outcome = lora(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.text;
    return outcome.text;
  }

  static void expect_same_tensors(const std::string& a, const std::string& b) {
    const NamedTensors of_a = open_safetensors(a).tensors, of_b = open_safetensors(b).tensors;
    ASSERT_EQ(of_a.size(), of_b.size());
    for (const auto& [name, tensor] : of_a) {
      ASSERT_EQ(of_b.count(name), 1u) << name;
      EXPECT_EQ(testing::bytes_of(tensor), testing::bytes_of(of_b.at(name))) << name;
    }
  }
};

TEST_F(LoraCommand, NothingThatIsReadIsWritten) {
  const std::string file = path("lora.safetensors"), model = path("tiny.safetensors");
  const std::string lora_before = testing::read_file(file),
                    model_before = testing::read_file(model);
  const std::string to_it = " -o " + file, with_model = " --model " + model;
  for (const std::string& command : {"merge " + file + ":0.5" + to_it + with_model,
                                     "convert " + file + " " + file + " --to peft",
                                     "resize " + file + " " + file + " --rank 1" + with_model,
                                     "extract " + model + " " + model + " -o " + model,
                                     "fingerprint " + model + " --lora " + file + " -o " + model}) {
    expect_refusal(lora(command), {"is one of the files that are read"});
  }
  expect_refusal(lora("inspect " + file + " --svg " + file), {".svg"});
  expect_refusal(lora("merge " + file + " -o " + path("x.txt") + with_model), {".safetensors"});
  EXPECT_EQ(testing::read_file(file), lora_before);
  EXPECT_EQ(testing::read_file(model), model_before);
}

TEST_F(LoraCommand, InspectTellsFamilyRanksAndHashes) {
  const std::string svg = path("blocks.svg");
  EXPECT_THAT(text_of("inspect --norms --svg " + svg + " " + path("lora.safetensors")),
              AllOf(HasSubstr("family"), HasSubstr("alpha / rank"), HasSubstr("AutoV3, addnet"),
                    HasSubstr("content"), HasSubstr("norm")));
  EXPECT_THAT(testing::read_file(svg), HasSubstr("<svg"));
  const auto json =
      nlohmann::json::parse(text_of("inspect --no-hashes --json --model " +
                                    path("tiny.safetensors") + " " + path("lora.safetensors")));
  EXPECT_EQ(json["matched"], json["modules"]);
  EXPECT_EQ(json["family"], "tiny.safetensors");
}

TEST_F(LoraCommand, ConversionThereAndBackReturnsTheTensors) {
  const std::string there = path("peft.safetensors"), back = path("back.safetensors");
  const std::string model = " --model " + path("tiny.safetensors");
  text_of("convert " + path("lora.safetensors") + " " + path("kohya.safetensors") + " --to kohya" +
          model);
  text_of("convert " + path("kohya.safetensors") + " " + there + " --to peft -q" + model);
  text_of("convert " + there + " " + back + " --to kohya" + model);
  expect_same_tensors(back, path("kohya.safetensors"));
  EXPECT_THAT(text_of("diff " + there + " " + path("lora.safetensors") + model),
              HasSubstr("identical: both add the same"));
}

TEST_F(LoraCommand, HalfAndHalfIsTheWhole) {
  const std::string half = path("lora.safetensors") + ":0.5", sum = path("sum.safetensors");
  const std::string model = " --model " + path("tiny.safetensors");
  EXPECT_THAT(text_of("merge " + half + " " + half + " -q -o " + sum + model),
              HasSubstr("relative error 0 by rank"));
  EXPECT_THAT(text_of("diff " + sum + " " + path("lora.safetensors") + model),
              HasSubstr("identical"));
  EXPECT_THAT(text_of("resize -q " + sum + " " + path("small.safetensors") + " --rank 1" + model),
              HasSubstr("rank 1, relative error"));
}

TEST_F(LoraCommand, DedupeFindsTheCopy) {
  const std::string folder = path("copies");
  std::filesystem::create_directory(folder);
  std::filesystem::copy_file(path("lora.safetensors"), folder + "/a.safetensors");
  std::filesystem::copy_file(path("lora.safetensors"), folder + "/b (1).safetensors");
  EXPECT_THAT(text_of("dedupe " + folder), HasSubstr("2 LoRA files, 1 distinct contents"));
}

TEST_F(LoraCommand, WhatCannotBeDoneIsOneSentence) {
  const std::string file = path("lora.safetensors"), out = path("none.safetensors");
  expect_refusal(lora("inspect " + path("tiny.safetensors")), {"no LoRA in this file"});
  expect_refusal(lora("convert " + file + " " + out + " --to webui"), {"--to webui", "kohya-ldm"});
  expect_refusal(lora("resize " + file + " " + out), {"--sv-fro"});
  expect_refusal(lora("resize " + file + " " + out + " --rank 4 --sv-fro 2"), {"sv_fro 2"});
  expect_refusal(lora("merge " + file + ":0 -o " + out), {"nothing is left"});
  expect_refusal(lora("extract " + path("tiny.safetensors") + " " + path("tiny.safetensors") +
                      " -q -o " + out),
                 {"same weights"});
  expect_refusal(lora("dedupe " + file), {"expected a folder"});
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace fourstep
