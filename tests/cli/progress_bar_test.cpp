#include "cli/progress_bar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/text_tools.h"

namespace fourstep {
namespace {

using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;

/// The last line that training prints of itself, when the second event comes `pause` after the first one.
std::string last_training_line(const std::vector<Progress>& events,
                               std::chrono::milliseconds pause) {
  ProgressBar bar(/*is_terminal=*/false, /*is_quiet=*/false);
  CaptureStderr();
  for (size_t i = 0; i < events.size(); ++i) {
    if (i == 1) std::this_thread::sleep_for(pause);
    bar.show(events[i]);
  }
  const std::string text = GetCapturedStderr();
  const size_t begin = text.rfind("train");
  return begin == std::string::npos ? "no line of training in: " + text : text.substr(begin);
}

TEST(ProgressBar, TrainingKeepsItsClockThroughASheet) {
  const std::string line = last_training_line({{.stage = Stage::kTrain, .step = 0, .num_steps = 2},
                                               {.stage = Stage::kTrain, .step = 1, .num_steps = 2},
                                               {.stage = Stage::kLoad, .step = 0, .num_steps = 1},
                                               {.stage = Stage::kLoad, .step = 1, .num_steps = 1},
                                               {.stage = Stage::kTrain, .step = 2, .num_steps = 2}},
                                              std::chrono::milliseconds(50));
  const size_t speed = line.find(" it/s");
  ASSERT_NE(speed, std::string::npos) << line;
  const double per_second = std::stod(line.substr(line.rfind(' ', speed - 1) + 1));
  EXPECT_LE(per_second, 2 / 0.05) << "two steps took 50 ms and more: " << line;
}

TEST(ProgressBar, ASecondTrainingHasAClockOfItsOwn) {
  const std::string line = last_training_line({{.stage = Stage::kTrain, .step = 0, .num_steps = 1},
                                               {.stage = Stage::kTrain, .step = 1, .num_steps = 1},
                                               {.stage = Stage::kTrain, .step = 0, .num_steps = 1},
                                               {.stage = Stage::kTrain, .step = 1, .num_steps = 1}},
                                              std::chrono::milliseconds(200));
  EXPECT_THAT(line, ::testing::HasSubstr("  0.0 s"));
}

/// What a whole image reports: two text encoders, the prompt, a hash, the UNet with a LoRA, steps, the VAE, decoding.
std::vector<Progress> events_of_an_image() {
  return {{.stage = Stage::kLoad, .step = 0, .num_steps = 5, .values = "text_encoder"},
          {.stage = Stage::kLoad, .step = 5, .num_steps = 5, .values = "text_encoder"},
          {.stage = Stage::kLoad, .step = 0, .num_steps = 7, .values = "text_encoder_2"},
          {.stage = Stage::kLoad, .step = 7, .num_steps = 7, .values = "text_encoder_2"},
          {.stage = Stage::kEncode, .step = 0, .num_steps = 1},
          {.stage = Stage::kEncode, .step = 1, .num_steps = 1},
          {.stage = Stage::kHash, .step = 4, .num_steps = 9, .values = "base.safetensors"},
          {.stage = Stage::kHash, .step = 9, .num_steps = 9, .values = "base.safetensors"},
          {.stage = Stage::kLoad, .step = 0, .num_steps = 9, .values = "unet"},
          {.stage = Stage::kFuse, .step = 3, .num_steps = 0},
          {.stage = Stage::kSample, .step = 0, .num_steps = 2},
          {.stage = Stage::kSample, .step = 1, .num_steps = 2},
          {.stage = Stage::kFuse, .step = 0, .num_steps = 0},  // a LoRA's weight of this step
          {.stage = Stage::kSample, .step = 2, .num_steps = 2},
          {.stage = Stage::kLoad, .step = 0, .num_steps = 3, .values = "vae"},
          {.stage = Stage::kDecode, .step = 0, .num_steps = 1},
          {.stage = Stage::kDecode, .step = 1, .num_steps = 1}};
}

std::string shown(bool is_terminal, const std::vector<Progress>& events,
                  const std::string& label = "") {
  CaptureStderr();
  {
    ProgressBar bar(is_terminal, /*is_quiet=*/false);
    bar.set_label(label);
    for (const Progress& progress : events) bar.show(progress);
  }
  return GetCapturedStderr();
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines{""};
  for (const char c : text) c == '\n' ? void(lines.emplace_back()) : lines.back().push_back(c);
  return lines;
}

/// What stands on the line after all that was drawn over.
std::string last_drawing(const std::string& line) {
  const size_t at = line.rfind("\r\033[K");
  return at == std::string::npos ? line : line.substr(at + 4);
}

TEST(ProgressBar, AnImageHasALineForLoadingSamplingAndDecoding) {
  for (const bool is_terminal : {false, true}) {
    const auto lines = lines_of(shown(is_terminal, events_of_an_image()));
    ASSERT_EQ(lines.size(), 4u);
    EXPECT_TRUE(last_drawing(lines[0]).starts_with("load    ████████████████████  0.")) << lines[0];
    EXPECT_TRUE(last_drawing(lines[1]).starts_with("sample  ████████████████████ 2/2  "))
        << lines[1];
    EXPECT_TRUE(last_drawing(lines[2]).starts_with("decode  ████████████████████  0.")) << lines[2];
    EXPECT_EQ(lines[3], "");
  }
}

TEST(ProgressBar, ATerminalTellsWhatTheLineIsAtNow) {
  const std::string text = shown(/*is_terminal=*/true, events_of_an_image(), "1/4");
  EXPECT_THAT(text,
              ::testing::HasSubstr("\033[Kload    ████████████████████  text_encoder_2  7/7"));
  EXPECT_THAT(text, ::testing::HasSubstr("hash  base.safetensors  4/9"));
  EXPECT_THAT(text, ::testing::HasSubstr("\033[Kload    lora  3"));
  EXPECT_THAT(text, ::testing::HasSubstr("1/4  sample  ██████████░░░░░░░░░░ 1/2"));
}

TEST(ProgressBar, HashesAloneAreCalledSo) {
  const auto lines =
      lines_of(shown(/*is_terminal=*/false, {{.stage = Stage::kHash, .step = 9, .num_steps = 9},
                                             {.stage = Stage::kSave, .step = 0, .num_steps = 1},
                                             {.stage = Stage::kSave, .step = 1, .num_steps = 1}}));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_TRUE(lines[0].starts_with("hash    ████")) << lines[0];
  EXPECT_TRUE(lines[1].starts_with("save    ████")) << lines[1];
}

TEST(ProgressBar, WorkOnLoraFilesHasACountOfItsOwn) {
  const auto lines =
      lines_of(shown(/*is_terminal=*/false, {{.stage = Stage::kFuse, .step = 1, .num_steps = 2},
                                             {.stage = Stage::kFuse, .step = 2, .num_steps = 2}}));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_TRUE(lines[0].starts_with("lora    ████████████████████ 2/2")) << lines[0];
}

// Standard error is a file in tests: such a line is drawn 80 columns wide.
TEST(ProgressBar, ALineIsNeverWiderThanTheTerminal) {
  const std::string name =
      "猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫猫\033[2J";
  for (const std::string& line :
       lines_of(shown(/*is_terminal=*/true,
                      {{.stage = Stage::kHash, .step = 1, .num_steps = 2, .values = name},
                       {.stage = Stage::kTrain, .step = 1, .num_steps = 9, .values = name}}))) {
    for (size_t at = line.find("\033[K"); at != std::string::npos;
         at = line.find("\033[K", at + 1)) {
      const std::string drawn = line.substr(at + 3, line.find('\r', at) - at - 3);
      const std::u32string characters = decode_utf8(drawn);
      const auto num_wide = std::count(characters.begin(), characters.end(), U'猫');
      EXPECT_LT(characters.size() + static_cast<size_t>(num_wide), 80u) << drawn;
      EXPECT_EQ(drawn.find('\033'), std::string::npos) << drawn;
    }
  }
}

TEST(ProgressBar, WorkThatFailsLeavesNoHalfLine) {
  EXPECT_TRUE(shown(/*is_terminal=*/true, {{.stage = Stage::kSample, .step = 1, .num_steps = 2}})
                  .ends_with("\r\033[K"));
  EXPECT_EQ(shown(/*is_terminal=*/false, {{.stage = Stage::kSample, .step = 1, .num_steps = 2}}),
            "");
}

TEST(ProgressBar, NoticesStandAboveTheLine) {
  CaptureStderr();
  ProgressBar bar(/*is_terminal=*/true, /*is_quiet=*/false);
  bar.show({.stage = Stage::kLoad, .step = 1, .num_steps = 2});
  bar.notice("one");
  bar.show({.stage = Stage::kLoad, .step = 2, .num_steps = 2});
  bar.finish();
  const auto lines = lines_of(GetCapturedStderr());
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(last_drawing(lines[0]), "note: one");
  EXPECT_TRUE(last_drawing(lines[1]).starts_with("load    ████████████████████")) << lines[1];
}

}  // namespace
}  // namespace fourstep
