// `inspect` and the lint of `generate` as users meet them.

#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/program.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(Program, InspectScheduleShowsTheLevels) {
  const Outcome table = run("inspect schedule --steps 4 --sampler lcm --schedule dmd2");
  ASSERT_EQ(table.exit_code, 0) << table.text;
  EXPECT_THAT(table.text, HasSubstr("749"));
  EXPECT_THAT(table.text, HasSubstr("visited 0.000, missed 0.000"));
  const Outcome all = run("inspect schedule --all --json --steps 5 --svg " + path("plot.svg"));
  ASSERT_EQ(all.exit_code, 0) << all.text;
  EXPECT_GE(nlohmann::json::parse(all.text)["schedules"].size(), 24u);
  EXPECT_GT(std::filesystem::file_size(path("plot.svg")), 1000u);
}

TEST_F(Program, InspectScheduleTakesWhatGenerateTakes) {
  const Outcome outcome =
      run("inspect schedule 'a cat' --json --model " + path("tiny.safetensors") +
          " --sampler 'DPM++ 2M Karras' --steps 20 --dialect diffusers --seed 1");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  const auto json = nlohmann::json::parse(outcome.text);
  EXPECT_EQ(json["sampler"], "dpmpp_2m");
  EXPECT_EQ(json["schedules"][0]["levels"].size(), 21u);
  expect_refusal(run("inspect schedule --schedule nope"), {"nope", "did you mean"});
  expect_refusal(run("inspect"), {"subcommand"});
}

TEST_F(Program, InspectTokensReadsTheModelsVocabulary) {
  const Outcome outcome = run("inspect tokens 'a cat' --json --model " + path("tiny.safetensors"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  const auto json = nlohmann::json::parse(outcome.text);
  EXPECT_EQ(json["encoders"].size(), 2u);
  EXPECT_FALSE(json["encoders"][0]["chunks"][0].empty());
}

TEST_F(Program, InspectTokensShowsWhatGenerateEncodes) {
  const Outcome outcome =
      run("inspect tokens '[a:\u00E9:1] # {x|y}' --dialect a1111 --steps 4 --model " +
          path("tiny.safetensors"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("prompt (calls 0-1): a"));
  EXPECT_THAT(outcome.text, HasSubstr("prompt (calls 2-4): \u00E9"));
  EXPECT_THAT(outcome.text, Not(HasSubstr("#")));
}

TEST_F(Program, InspectPromptSaysWhatIsUsed) {
  const std::string start = "inspect prompt 'a cat' --negative-prompt dog --cfg-scale 1 --model " +
                            path("tiny.safetensors");
  const Outcome table = run(start);
  ASSERT_EQ(table.exit_code, 0) << table.text;
  EXPECT_THAT(table.text, HasSubstr("not used at CFG scale 1"));
  const Outcome json = run(start + " --json");
  EXPECT_EQ(nlohmann::json::parse(json.text)[1]["used"], false);
  expect_refusal(run("inspect prompt"), {"PROMPT"});
}

TEST_F(Program, InspectNoiseShowsOneRowPerImage) {
  const Outcome outcome =
      run("inspect noise --seed 7 --images 2 --width 64 --height 64 --dialect a1111 --json");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.text;
  const auto json = nlohmann::json::parse(outcome.text);
  EXPECT_EQ(json["source"], "nv");
  ASSERT_EQ(json["images"].size(), 2u);
  EXPECT_EQ(json["images"][1]["seed"], 8);
}

TEST_F(Program, GenerateTellsProblemsOnceBeforeItSamples) {
  const std::string start = "generate 'a cat' --model " + path("tiny.safetensors") +
                            " --width 64 --height 64 --steps 2 --precision fp32 --seeds 1,2 ";
  std::filesystem::create_directory(path("lint"));
  const Outcome loud = run(start + "--out " + path("lint/"));
  ASSERT_EQ(loud.exit_code, 0) << loud.text;
  const size_t at = loud.text.find("too few for a model that is not distilled");
  ASSERT_NE(at, std::string::npos) << loud.text;
  EXPECT_EQ(loud.text.find("too few", at + 1), std::string::npos) << "once for both seeds";
  EXPECT_LT(at, loud.text.find("sample")) << loud.text;
  const Outcome quiet = run(start + "--quiet --json --out " + path("lint/"));
  ASSERT_EQ(quiet.exit_code, 0) << quiet.text;
  const auto json = nlohmann::json::parse(quiet.text);  // nothing else is printed
  EXPECT_EQ(json["lint"][0]["code"], "too-few-steps");
  EXPECT_THAT(json["lint"][0]["remedy"].get<std::string>(), HasSubstr("--lora"));
}

}  // namespace
}  // namespace fourstep
