#include "cli/progress_bar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace fourstep {
namespace {

using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;

TEST(ProgressBar, TrainingKeepsItsClockThroughASheet) {
  ProgressBar bar(/*is_terminal=*/false, /*is_quiet=*/false);
  CaptureStderr();
  bar.show({.stage = Stage::kTrain, .step = 0, .num_steps = 2});
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  bar.show({.stage = Stage::kTrain, .step = 1, .num_steps = 2});
  bar.show({.stage = Stage::kLoad, .step = 0, .num_steps = 1});
  bar.show({.stage = Stage::kLoad, .step = 1, .num_steps = 1});
  bar.show({.stage = Stage::kTrain, .step = 2, .num_steps = 2});
  const std::string text = GetCapturedStderr();
  const std::string last = text.substr(text.rfind("train"));
  const size_t speed = last.find(" it/s");
  ASSERT_NE(speed, std::string::npos) << text;
  const double per_second = std::stod(last.substr(last.rfind(' ', speed - 1) + 1));
  EXPECT_LE(per_second, 2 / 0.05) << "two steps took 50 ms and more: " << last;
}

TEST(ProgressBar, ASecondTrainingHasAClockOfItsOwn) {
  ProgressBar bar(/*is_terminal=*/false, /*is_quiet=*/false);
  CaptureStderr();
  bar.show({.stage = Stage::kTrain, .step = 0, .num_steps = 1});
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  bar.show({.stage = Stage::kTrain, .step = 1, .num_steps = 1});
  bar.show({.stage = Stage::kTrain, .step = 0, .num_steps = 1});
  bar.show({.stage = Stage::kTrain, .step = 1, .num_steps = 1});
  const std::string text = GetCapturedStderr();
  const std::string last = text.substr(text.rfind("train"));
  EXPECT_THAT(last, ::testing::HasSubstr("  0.0 s")) << text;
}

}  // namespace
}  // namespace fourstep
