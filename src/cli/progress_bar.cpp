#include "cli/progress_bar.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "base/text_tools.h"
#include "cli/terminal.h"

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

std::string stage_name(const std::string& name) { return fmt::format("{:<6}  ", name); }

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// "  3/4  1.20 it/s  1 s left", or "  4/4  1.20 it/s  3.3 s" at the end.
std::string count_text(const Progress& progress, double seconds) {
  std::string text = fmt::format(" {}/{}", progress.step, progress.num_steps);
  const auto done = static_cast<double>(progress.step - progress.first_step);
  if (done <= 0) return text;
  const double per_step = seconds / done;
  const auto left = static_cast<double>(progress.num_steps - progress.step);
  text += "  " + speed_text(per_step) + "  ";
  return text +
         (left > 0 ? duration_text(per_step * left) + " left" : fmt::format("{:.1f} s", seconds));
}

/// Nothing that the user asked for is made in these stages. LoRAs are put on without a count; work on LoRA files has one.
bool is_preparation(const Progress& progress) {
  return progress.stage == Stage::kLoad || progress.stage == Stage::kEncode ||
         progress.stage == Stage::kHash ||
         (progress.stage == Stage::kFuse && progress.num_steps == 0);
}

/// Of a stage whose steps are counted.
double share_of(const Progress& progress) {
  return static_cast<double>(progress.step) / static_cast<double>(progress.num_steps);
}

/// A line that is longer than the terminal is wide cannot be redrawn in place.
size_t line_columns() {
  constexpr size_t kUsual = 80;
  const size_t columns = terminal_columns(STDERR_FILENO);
  return columns > 0 ? columns : kUsual;
}

/// Cut to `columns`; East Asian characters and emoji take two.
std::string within_columns(const std::string& text, size_t columns) {
  std::string cut;
  size_t used = 0;
  for (const char32_t c : decode_utf8(text)) {
    const bool is_wide = c >= 0x1100 && (c < 0x2500 || c > 0x25FF);
    used += is_wide ? 2 : 1;
    if (used > columns) break;
    append_utf8(cut, c);
  }
  return cut;
}

}  // namespace

std::string on_one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
  return text;
}

ProgressBar::ProgressBar(bool is_terminal, bool is_quiet)
    : is_terminal_(is_terminal), is_quiet_(is_quiet) {}

ProgressBar::~ProgressBar() {
  if (has_open_line_) std::fputs(kClearLine, stderr);
}

void ProgressBar::start_stage(const Progress& progress) {
  stage_ = progress.stage;
  stage_start_ = Clock::now();
  if (stage_ != Stage::kTrain) return;
  // Sheets come between two iterations: training goes on after them, with the clock that it had.
  if (training_start_ && progress.step > progress.first_step) stage_start_ = *training_start_;
  training_start_ = stage_start_;
}

std::string ProgressBar::line(const Progress& progress) const {
  const double seconds = seconds_since(stage_start_);
  std::string text = label_.empty() ? "" : label_ + "  ";
  text += stage_name(to_string(progress.stage));
  if (progress.num_steps == 0) return text + fmt::format("{:.1f} s", seconds);
  text += bar_cells(share_of(progress));
  if (progress.num_steps > 1) {
    text += count_text(progress, seconds);
  } else if (progress.step == progress.num_steps) {
    text += fmt::format("  {:.1f} s", seconds);
  }
  return on_one_line(progress.values.empty() ? text : text + "  " + progress.values);
}

void ProgressBar::draw(const std::string& text) {
  // The last column stays free: some terminals wrap when it is written to.
  fmt::print(stderr, "{}{}", kClearLine, within_columns(text, line_columns() - 1));
  std::fflush(stderr);
  has_open_line_ = true;
}

void ProgressBar::print(const std::string& text) {
  fmt::print(stderr, "{}{}\n", has_open_line_ ? kClearLine : "", text);
  has_open_line_ = false;
}

void ProgressBar::show_preparation(const Progress& progress) {
  // LoRAs whose weights change from step to step are part of sampling.
  if (stage_ == Stage::kSample && !is_stage_done_) return;
  const std::string name = to_string(progress.stage);
  if (!preparation_) preparation_ = {name, Clock::now()};
  if (preparation_->name != name) preparation_->name = to_string(Stage::kLoad);
  stage_ = progress.stage;
  if (!is_terminal_) return;
  std::vector<std::string> parts;
  if (progress.num_steps > 0) parts.push_back(bar_cells(share_of(progress)));
  if (preparation_->name != name) parts.push_back(name);
  if (!progress.values.empty()) parts.push_back(on_one_line(progress.values));
  if (progress.num_steps > 1)
    parts.push_back(fmt::format("{}/{}", progress.step, progress.num_steps));
  if (progress.num_steps == 0) parts.push_back(std::to_string(progress.step));
  draw(fmt::format("{}{}", stage_name(preparation_->name), fmt::join(parts, "  ")));
}

void ProgressBar::end_preparation() {
  print(fmt::format("{}{}  {:.1f} s", stage_name(preparation_->name), bar_cells(1),
                    seconds_since(preparation_->start)));
  preparation_.reset();
}

void ProgressBar::show(const Progress& progress) {
  if (is_quiet_) return;
  if (is_preparation(progress)) return show_preparation(progress);
  const bool goes_on = preparation_ && progress.stage == Stage::kDecode;
  if (goes_on) {
    stage_ = progress.stage;
    stage_start_ = preparation_->start;
    preparation_.reset();
  } else if (preparation_) {
    end_preparation();
  }
  const bool is_first = progress.step == progress.first_step && !goes_on;
  if (progress.stage != stage_ || is_first) start_stage(progress);
  is_stage_done_ = progress.num_steps > 0 && progress.step == progress.num_steps;
  if (is_stage_done_ || (!is_terminal_ && is_due(progress))) {
    print(line(progress));
  } else if (is_terminal_) {
    draw(line(progress));
  }
}

bool ProgressBar::is_due(const Progress& progress) {
  if (progress.stage != Stage::kTrain) return false;
  const bool is_due = Clock::now() - last_line_ > std::chrono::minutes(1);
  if (is_due) last_line_ = Clock::now();
  return is_due;
}

void ProgressBar::notice(const std::string& sentence) {
  if (is_quiet_) return;
  print("note: " + on_one_line(sentence));
}

void ProgressBar::finish() {
  if (preparation_) end_preparation();
  if (has_open_line_) fmt::print(stderr, "\n");
  has_open_line_ = false;
}

}  // namespace fourstep
