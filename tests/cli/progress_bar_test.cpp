#include "cli/progress_bar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

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

}  // namespace
}  // namespace fourstep
