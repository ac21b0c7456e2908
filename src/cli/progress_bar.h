#pragma once
// The line that shows what the program is doing, on standard error.

#include <chrono>
#include <optional>
#include <string>

#include "base/events.h"

namespace fourstep {

/// `text` with control characters, which may come from a hostile file, as '?'.
std::string on_one_line(std::string text);

/// One bar for one piece of work, a line per stage that people wait for. All that comes before one (loading of several
/// networks, hashes, encoding of prompts, LoRAs put on) shares the line "load"; what a decoder needs loaded is part of
/// "decode". On a terminal the line is redrawn in place, within its width; elsewhere a line is printed as each stage ends,
/// and each minute of training. Not thread-safe.
class ProgressBar {
 public:
  /// is_quiet: print nothing at all.
  ProgressBar(bool is_terminal, bool is_quiet);
  /// Clears a line that work did not finish: an error is going to be told there.
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// label: stands from now on before what is not preparation, for instance "2/4"; may be empty.
  void set_label(std::string label) { label_ = std::move(label); }
  void show(const Progress& progress);
  /// Prints `sentence` on a line of its own, above the bar.
  void notice(const std::string& sentence);
  /// Ends the line that is being redrawn.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  /// Of the line that several stages share.
  struct Preparation {
    std::string name;
    Clock::time_point start;
  };

  void show_preparation(const Progress& progress);
  void end_preparation();
  void start_stage(const Progress& progress);
  std::string line(const Progress& progress) const;
  void draw(const std::string& text);
  void print(const std::string& text);
  bool is_due(const Progress& progress);  ///< without a terminal: a line of training per minute

  bool is_terminal_;
  bool is_quiet_;
  std::string label_;
  Stage stage_ = Stage::kLoad;
  bool is_stage_done_ = true;
  Clock::time_point stage_start_ = Clock::now();
  std::optional<Clock::time_point> training_start_;
  std::optional<Preparation> preparation_;
  Clock::time_point last_line_;
  bool has_open_line_ = false;
};

}  // namespace fourstep
