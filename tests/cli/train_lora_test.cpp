// fourstep train-lora as users meet it: from a folder of pictures to a LoRA that "generate" takes.

#include "cli/program.h"

#include "io/image.h"
#include "io/safetensors.h"
#include "support/files.h"
#include "support/pictures.h"

namespace fourstep {
namespace {

class TrainLora : public Program {
 protected:
  static Outcome train(const std::string& out, const std::string& more) {
    return run("train-lora --model " + path("tiny.safetensors") + " --data " + path("data") +
               " --out " + path(out) +
               " --resolution 64 --rank 2 --alpha 2 --iterations 4 --batch 2 --lr 1e-2 " +
               "--sample-every 0 --threads 1 " + more);
  }
};

TEST_F(TrainLora, MakesALoraThatGenerateTakesAndShows) {
  testing::write_two_pictures(path("data"));
  const Outcome trained = train("lora", "");
  ASSERT_EQ(trained.exit_code, 0) << trained.text;
  for (const char* name : {"lora_fp32.safetensors", "lora_fp16.safetensors"}) {
    const Outcome fused =
        generate("--seed 7 --json --out " + path("with.png") + " --lora " + path("lora/") + name);
    ASSERT_EQ(fused.exit_code, 0) << fused.text;
    EXPECT_NE(fused.text.find(" modules"), std::string::npos);
  }
  ASSERT_EQ(generate("--seed 7 --out " + path("without.png")).exit_code, 0);
  EXPECT_FALSE(
      torch::equal(read_image(path("with.png")).pixels, read_image(path("without.png")).pixels));
}

TEST_F(TrainLora, AVaeWithoutItsEncoderIsRefusedBeforeAnyPicture) {
  testing::write_two_pictures(path("data"));
  testing::write_tiny_sdxl(path("decoder.safetensors"), [](Checkpoint& checkpoint) {
    std::erase_if(checkpoint.components[Component::kVae],
                  [](const auto& item) { return item.first.starts_with("encoder."); });
  });
  const Outcome outcome = train("decoder", "--model " + path("decoder.safetensors"));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.text.find("decoder.safetensors is a decoder alone"), std::string::npos)
      << outcome.text;
  EXPECT_EQ(outcome.text.find("cannot be used"), std::string::npos) << outcome.text;
}

TEST_F(TrainLora, NamesAndCountsWhatItLeavesOut) {
  testing::write_two_pictures(path("data"));
  testing::write_file(path("data/broken.jpg"), "\xFF\xD8\xFF and no more");
  testing::write_file(path("data/lonely.txt"), "without picture");
  const Outcome outcome = train("notices", "");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.text;
  for (const char* sentence :
       {"note: 1 of 3 images cannot be used and are left out: broken.jpg",
        "note: 1 captions have no image and are left out: lonely.txt",
        "note: 1 images have no caption and get the empty one: broken.jpg"}) {
    EXPECT_NE(outcome.text.find(sentence), std::string::npos)
        << sentence << " in: " << outcome.text;
  }
}

TEST_F(TrainLora, TakesItsSettingsFromAFileAndFlagsWin) {
  testing::write_two_pictures(path("data"));
  testing::write_file(path("settings.json"), R"({"rank": 3, "seed": 5, "noise_offset": 0.05})");
  const Outcome outcome = train("configured", "-q --config " + path("settings.json"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  const auto metadata = open_safetensors(path("configured/lora_fp32.safetensors")).metadata;
  EXPECT_EQ(metadata.at("ss_network_dim"), "2") << "train() has it as a flag";
  EXPECT_EQ(metadata.at("ss_seed"), "5");
  EXPECT_EQ(metadata.at("ss_noise_offset"), "0.05");
}

TEST_F(TrainLora, RefusesBadInputInOneSentence) {
  testing::write_two_pictures(path("data"));
  expect_refusal(run("train-lora -q --model x.safetensors"), {"--data"});
  expect_refusal(run("train-lora -q --data " + path("data")), {"--model"});
  expect_refusal(train("bad", "-q --data " + path("nowhere")), {"nowhere", "no folder"});
  std::filesystem::create_directories(path("empty"));
  expect_refusal(train("bad", "-q --data " + path("empty")), {"empty", "no images"});
  testing::write_file(path("empty/a.png"), "");
  expect_refusal(train("bad", "-q --data " + path("empty")), {"none of the 1 images", "a.png"});
  expect_refusal(train("bad", "-q --resolution 100"), {"--resolution 100", "multiple of 8"});
  expect_refusal(train("bad", "-q --targets heads"), {"--targets", "heads"});
  expect_refusal(train("bad", "-q --precision int8"), {"int8"});
  expect_refusal(train("bad", "-q --lr nan"), {"--lr"});
  testing::write_file(path("typo.json"), R"({"rnak": 3})");
  expect_refusal(train("bad", "-q --config " + path("typo.json")), {"rnak"});
}

}  // namespace
}  // namespace fourstep
