#include "cli/progress_bar.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace fourstep {

namespace {

constexpr const char* kClearLine = "\r\033[K";
constexpr int kBarCells = 20;

std::string bar_cells(double share) {
  const auto full = std::lround(share * kBarCells);
  std::string cells;
  for (int i = 0; i < kBarCells; ++i) cells += i < full ? "█" : "░";
  return cells;
}

/// "2.31 s/it", or "4.20 it/s" where a step takes less than a second.
std::string speed_text(double seconds_per_step) {
  if (seconds_per_step >= 1) return fmt::format("{:.2f} s/it", seconds_per_step);
  return fmt::format("{:.2f} it/s", 1 / std::max(seconds_per_step, 1e-6));
}

/// "42 s", "7 min" or "3.2 h".
std::string duration_text(double seconds) {
  if (seconds < 100) return fmt::format("{:.0f} s", seconds);
  if (seconds < 6000) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

}  // namespace

std::string on_one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
  return text;
}

ProgressBar::ProgressBar(bool is_terminal, bool is_quiet)
    : is_terminal_(is_terminal), is_quiet_(is_quiet) {}

void ProgressBar::start_stage(const Progress& progress) {
  stage_ = progress.stage;
  stage_start_ = Clock::now();
  if (stage_ != Stage::kTrain) return;
  // Sheets come between two iterations: training goes on after them, with the clock that it had.
  if (training_start_ && progress.step > progress.first_step) stage_start_ = *training_start_;
  training_start_ = stage_start_;
}

std::string ProgressBar::line(const Progress& progress) const {
  const double seconds = std::chrono::duration<double>(Clock::now() - stage_start_).count();
  std::string text = label_.empty() ? "" : label_ + "  ";
  text += fmt::format("{:<6}", to_string(progress.stage));
  if (progress.num_steps == 0) return text + fmt::format("  {:.1f} s", seconds);
  const double share = static_cast<double>(progress.step) / static_cast<double>(progress.num_steps);
  text += fmt::format("  {} {}/{}", bar_cells(share), progress.step, progress.num_steps);
  const auto done = static_cast<double>(progress.step - progress.first_step);
  if (done <= 0) return text;
  const double per_step = seconds / done;
  text += "  " + speed_text(per_step);
  if (progress.step < progress.num_steps) {
    text += "  " +
            duration_text(per_step * static_cast<double>(progress.num_steps - progress.step)) +
            " left";
  } else {
    text += fmt::format("  {:.1f} s", seconds);
  }
  return progress.values.empty() ? text : text + "  " + progress.values;
}

void ProgressBar::show(const Progress& progress) {
  if (is_quiet_) return;
  if (progress.stage != stage_ || progress.step == progress.first_step) {
    start_stage(progress);
  }
  const bool is_last = progress.num_steps > 0 && progress.step == progress.num_steps;
  if (!is_terminal_) {
    if (is_last || is_due(progress)) fmt::print(stderr, "{}\n", line(progress));
    return;
  }
  fmt::print(stderr, "{}{}", kClearLine, line(progress));
  has_open_line_ = !is_last;
  if (is_last) fmt::print(stderr, "\n");
  std::fflush(stderr);
}

bool ProgressBar::is_due(const Progress& progress) {
  if (progress.stage != Stage::kTrain) return false;
  const bool is_due = Clock::now() - last_line_ > std::chrono::minutes(1);
  if (is_due) last_line_ = Clock::now();
  return is_due;
}

void ProgressBar::notice(const std::string& sentence) {
  if (is_quiet_) return;
  fmt::print(stderr, "{}note: {}\n", has_open_line_ ? kClearLine : "", on_one_line(sentence));
  has_open_line_ = false;
}

void ProgressBar::finish() {
  if (has_open_line_) fmt::print(stderr, "\n");
  has_open_line_ = false;
}

}  // namespace fourstep
