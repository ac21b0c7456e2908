#include "text/prompt_schedule.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text_tools.h"
#include "text/prompt_scan.h"

namespace fourstep {
namespace {

struct Piece;
using Pieces = std::vector<Piece>;

/// Text, or a choice between texts.
struct Piece {
  std::string text;
  std::vector<Pieces> options;  ///< empty: the piece is text
  std::string switch_at;        ///< of two options: where the second begins; empty: they alternate
};

constexpr size_t kDeepestGroup = 200;  // the reference's own limit is the stack of its interpreter

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// [+-] digits [. digits] [e digits], with blanks around it.
bool is_number(std::string_view text) {
  text = without_blanks(text);
  if (text.empty() || !finite_number(text)) return false;
  const char first = text.front(), second = text.size() > 1 ? text[1] : ' ';
  const bool has_sign = first == '+' || first == '-';
  const char leading = has_sign ? second : first;
  return is_digit(leading) || leading == '.';
}

/// Reads a prompt once. Groups that turn out not to be choices become text together with all that
/// are open around them, since only groups can stand in groups.
class ScheduleReader {
 public:
  /// Nothing for a prompt that the grammar does not take.
  std::optional<Pieces> read(std::string_view prompt) {
    for (size_t i = 0; i < prompt.size() && is_valid_; ++i) {
      const char c = prompt[i];
      if (c == '\\') {
        is_valid_ = i + 1 < prompt.size() && prompt[i + 1] != '\n';
        if (is_valid_) add_text(prompt.substr(i++, 2));
      } else if (c == '(' || c == '[') {
        groups_.push_back({c});
        is_valid_ = groups_.size() <= kDeepestGroup;
      } else if (c == ')' || c == ']') {
        close(c);
      } else if (c == ':' || c == '|') {
        separate(c);
      } else {
        add_text(prompt.substr(i, 1));
      }
    }
    open_as_text();
    return is_valid_ ? std::optional(std::move(top_)) : std::nullopt;
  }

 private:
  struct Group {
    char bracket;
    std::vector<Pieces> parts = std::vector<Pieces>(1);
    std::string separators = {};  ///< between the parts
  };

  Pieces& pieces() { return groups_.empty() ? top_ : groups_.back().parts.back(); }

  static void append_text(Pieces& pieces, std::string_view text) {
    if (pieces.empty() || !pieces.back().options.empty()) pieces.emplace_back();
    pieces.back().text += text;
  }

  static void append(Pieces& to, Pieces&& pieces) {
    for (Piece& piece : pieces) {
      if (piece.options.empty()) {
        append_text(to, piece.text);
      } else {
        to.push_back(std::move(piece));
      }
    }
  }

  void add_text(std::string_view text) { append_text(pieces(), text); }

  void separate(char separator) {
    if (groups_.empty()) {
      is_valid_ = separator == ':';
      return add_text({&separator, 1});
    }
    groups_.back().separators += separator;
    groups_.back().parts.emplace_back();
  }

  /// The group with its brackets as text, appended to `to`.
  static void append_as_text(Pieces& to, Group&& group) {
    append_text(to, {&group.bracket, 1});
    for (size_t i = 0; i < group.parts.size(); ++i) {
      if (i > 0) append_text(to, {&group.separators[i - 1], 1});
      append(to, std::move(group.parts[i]));
    }
  }

  void open_as_text() {
    for (Group& group : groups_) {
      is_valid_ = is_valid_ && group.separators.find('|') == std::string::npos;
      append_as_text(top_, std::move(group));
    }
    groups_.clear();
  }

  void close(char bracket) {
    const char opening = bracket == ')' ? '(' : '[';
    if (groups_.empty() || groups_.back().bracket != opening || !closes_well(groups_.back())) {
      open_as_text();
      return add_text({&bracket, 1});
    }
    Group group = std::move(groups_.back());
    groups_.pop_back();
    if (opening == '(' || group.separators.empty()) {
      append_as_text(pieces(), std::move(group));
      return add_text({&bracket, 1});
    }
    pieces().push_back(choice_of(std::move(group)));
  }

  static bool closes_well(const Group& group) {
    const std::string& separators = group.separators;
    if (separators.empty()) return true;
    if (group.bracket == '(') return separators == ":";
    if (separators.find(':') == std::string::npos) return true;
    const Pieces& last = group.parts.back();
    return (separators == ":" || separators == "::") && last.size() == 1 &&
           last.front().options.empty() && is_number(last.front().text);
  }

  static Piece choice_of(Group&& group) {
    Piece choice{{}, std::move(group.parts), {}};
    if (group.separators.front() == '|') return choice;
    choice.switch_at = without_blanks(choice.options.back().front().text);
    choice.options.pop_back();
    if (choice.options.size() == 1) choice.options.insert(choice.options.begin(), Pieces());
    return choice;
  }

  bool is_valid_ = true;
  Pieces top_;
  std::vector<Group> groups_;  ///< those that are open
};

int64_t steps_of_pass(const PromptClock& clock) {
  return clock.old_rule ? clock.steps : clock.hires_steps.value_or(clock.steps);
}

/// The last call of the first option.
int64_t switch_call(const std::string& text, const PromptClock& clock) {
  const bool is_second_pass = clock.hires_steps && !clock.old_rule;
  const auto steps = static_cast<double>(steps_of_pass(clock));
  double value = *finite_number(text);
  if (clock.old_rule) {
    if (value < 1) value *= steps;
  } else if (text.find('.') != std::string::npos) {
    value = (value - (is_second_pass ? 1 : 0)) * steps;
  } else if (is_second_pass) {
    value -= static_cast<double>(clock.steps);
  }
  return static_cast<int64_t>(std::clamp(std::trunc(value), -1.0, steps));
}

void collect_calls(const Pieces& pieces, const PromptClock& clock, std::set<int64_t>& calls) {
  for (const Piece& piece : pieces) {
    for (const Pieces& option : piece.options) collect_calls(option, clock, calls);
    if (!piece.switch_at.empty()) {
      const int64_t call = switch_call(piece.switch_at, clock);
      if (call >= 1) calls.insert(call);
    } else if (!piece.options.empty()) {
      for (int64_t call = 1; call <= steps_of_pass(clock); ++call) calls.insert(call);
    }
  }
}

void append_at(int64_t call, const Pieces& pieces, const PromptClock& clock, std::string& text) {
  for (const Piece& piece : pieces) {
    text += piece.text;
    if (piece.options.empty()) continue;
    const size_t chosen = piece.switch_at.empty()
                              ? static_cast<size_t>(call - 1) % piece.options.size()
                              : (call <= switch_call(piece.switch_at, clock) ? 0 : 1);
    append_at(call, piece.options[chosen], clock, text);
  }
}

}  // namespace

std::vector<ScheduledText> parse_prompt_schedule(std::string_view prompt,
                                                 const PromptClock& clock) {
  const int64_t steps = steps_of_pass(clock);
  const std::optional<Pieces> pieces = ScheduleReader().read(prompt);
  if (!pieces) return {{steps, std::string(prompt)}};
  std::set<int64_t> calls = {steps};
  collect_calls(*pieces, clock, calls);
  std::vector<ScheduledText> texts;
  for (const int64_t call : calls) {
    append_at(call, *pieces, clock, texts.emplace_back(ScheduledText{call, ""}).text);
  }
  return texts;
}

}  // namespace fourstep
