#include "text/emphasis.h"

#include <algorithm>
#include <optional>

#include "base/text_tools.h"
#include "text/prompt_scan.h"

namespace fourstep {
namespace {

constexpr double kBracketWeight = 1.1;

/// A1111's grammar, one method per kind of character.
class A1111Emphasis {
 public:
  explicit A1111Emphasis(std::string_view prompt) : prompt_(prompt) {}

  std::vector<WeightedText> parse() {
    while (at_ < prompt_.size()) step();
    close_at_end(round_, kBracketWeight);
    close_at_end(square_, 1 / kBracketWeight);
    return joined();
  }

 private:
  static constexpr std::string_view kSpecial = "\\()[]:";
  static constexpr size_t kDeepest = 256;  // bounds the work for texts made of brackets

  void step() {
    switch (prompt_[at_]) {
      case '\\':
        return escape();
      case '(':
        return open(round_);
      case '[':
        return open(square_);
      case ')':
        return close(round_, kBracketWeight, 1);
      case ']':
        return close(square_, 1 / kBracketWeight, 1);
      case ':':
        return colon();
      default:
        return add_text(std::min(prompt_.find_first_of(kSpecial, at_), prompt_.size()) - at_);
    }
  }

  void escape() {
    const bool is_escaped = at_ + 1 < prompt_.size() && prompt_[at_ + 1] != ':' &&
                            kSpecial.find(prompt_[at_ + 1]) != std::string_view::npos;
    parts_.push_back({std::string(prompt_.substr(at_ + 1, is_escaped ? 1 : 0)), 1});
    at_ += is_escaped ? 2 : 1;
  }

  void open(std::vector<size_t>& brackets) {
    brackets.push_back(parts_.size());
    ++at_;
  }

  void close(std::vector<size_t>& brackets, double weight, size_t length) {
    if (brackets.empty()) return add_text(length);
    if (brackets.size() <= kDeepest) multiply(brackets.back(), weight);
    brackets.pop_back();
    at_ += length;
  }

  void close_at_end(const std::vector<size_t>& brackets, double weight) {
    for (size_t i = 0; i < std::min(brackets.size(), kDeepest); ++i) multiply(brackets[i], weight);
  }

  /// ":1.3)" closes a round bracket; any other colon is text.
  void colon() {
    const auto skip_blanks = [&](size_t i) {
      while (i < prompt_.size() && is_blank(prompt_[i])) ++i;
      return i;
    };
    const size_t begin = skip_blanks(at_ + 1);
    const bool has_sign =
        begin < prompt_.size() && (prompt_[begin] == '+' || prompt_[begin] == '-');
    const size_t end =
        std::min(prompt_.find_first_not_of(".0123456789", begin + has_sign), prompt_.size());
    const size_t bracket = skip_blanks(end);
    const bool is_closing = bracket < prompt_.size() && prompt_[bracket] == ')';
    const auto weight =
        is_closing ? finite_number(prompt_.substr(begin, end - begin)) : std::nullopt;
    if (!weight) return add_text(1);
    close(round_, *weight, bracket + 1 - at_);
  }

  void multiply(size_t first, double weight) {
    for (size_t i = first; i < parts_.size(); ++i) parts_[i].weight *= weight;
  }

  /// Text of `length` bytes, cut at the word BREAK and the blanks around it.
  void add_text(size_t length) {
    constexpr std::string_view kBreak = "BREAK";
    std::string_view text = prompt_.substr(at_, length);
    at_ += length;
    size_t from = 0;
    for (size_t found = text.find(kBreak); found != std::string_view::npos;
         found = text.find(kBreak, from)) {
      from = found + kBreak.size();
      if (!is_whole_word(text, found, from)) continue;
      parts_.push_back({std::string(without_blanks_behind(text.substr(0, found))), 1});
      parts_.push_back({std::string(kBreak), -1});
      text.remove_prefix(from);
      while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
      from = 0;
    }
    parts_.push_back({std::string(text), 1});
  }

  std::vector<WeightedText> joined() const {
    std::vector<WeightedText> joined;
    for (const WeightedText& part : parts_) {
      if (joined.empty() || joined.back().weight != part.weight) {
        joined.push_back(part);
      } else {
        joined.back().text += part.text;
      }
    }
    if (joined.empty()) joined.emplace_back();
    return joined;
  }

  std::string_view prompt_;
  size_t at_ = 0;
  std::vector<WeightedText> parts_;
  std::vector<size_t> round_, square_;  ///< number of parts before each bracket that is open
};

/// ComfyUI's grammar. Brackets are paired once, ahead; spans of text wait on a stack of their own,
/// so that no text can exhaust the program's.
class ComfyEmphasis {
 public:
  explicit ComfyEmphasis(std::string_view prompt)
      : prompt_(prompt), partner_(prompt.size(), kNone), colon_(prompt.size(), kNone) {
    std::vector<size_t> open;
    for (size_t i = 0; i < prompt.size(); ++i) {
      colon_[i] = prompt[i] == ':' ? i : (i > 0 ? colon_[i - 1] : kNone);
      if (is_bracket(i, '(')) open.push_back(i);
      if (!is_bracket(i, ')') || open.empty()) continue;
      partner_[open.back()] = i;
      open.pop_back();
    }
  }

  std::vector<WeightedText> parse() {
    std::vector<Span> waiting = {{0, prompt_.size(), 1}};
    while (!waiting.empty()) {
      const Span span = waiting.back();
      waiting.pop_back();
      const size_t bracket = first_group(span);
      add_text(span.begin, bracket, span.weight);
      if (bracket == span.end) continue;
      const size_t closing = closing_of(bracket, span.end);
      if (closing == kNone) {
        add_text(bracket, span.end, span.weight);
        continue;
      }
      waiting.push_back({closing + 1, span.end, span.weight});
      waiting.push_back(inside(bracket, closing, span.weight));
    }
    return std::move(parts_);
  }

 private:
  static constexpr size_t kNone = std::string_view::npos;

  struct Span {
    size_t begin, end;
    double weight;
  };

  bool is_bracket(size_t i, char bracket) const {
    return prompt_[i] == bracket && (i == 0 || prompt_[i - 1] != '\\');
  }

  /// Where the first group of the span opens; its end without any. A closing bracket without an
  /// opening one takes the meaning from the next opening one.
  size_t first_group(const Span& span) const {
    int64_t surplus = 0;
    for (size_t i = span.begin; i < span.end; ++i) {
      if (is_bracket(i, ')')) ++surplus;
      if (is_bracket(i, '(') && surplus-- == 0) return i;
    }
    return span.end;
  }

  /// The end of the group that opens at `bracket`; when it is open up to `end`, a closing bracket
  /// there counts.
  size_t closing_of(size_t bracket, size_t end) const {
    if (partner_[bracket] < end) return partner_[bracket];
    return end - bracket >= 2 && is_bracket(end - 1, ')') ? end - 1 : kNone;
  }

  Span inside(size_t bracket, size_t closing, double weight) const {
    const Span plain{bracket + 1, closing, weight * kBracketWeight};
    const size_t colon = colon_[closing - 1];
    if (colon == kNone || colon <= plain.begin) return plain;
    const auto number = finite_number(prompt_.substr(colon + 1, closing - colon - 1));
    return number ? Span{plain.begin, colon, *number} : plain;
  }

  void add_text(size_t begin, size_t end, double weight) {
    std::string text;
    for (size_t i = begin; i < end; ++i) {
      const bool is_escape =
          prompt_[i] == '\\' && i + 1 < end && (prompt_[i + 1] == '(' || prompt_[i + 1] == ')');
      if (!is_escape) text += prompt_[i];
    }
    if (!text.empty()) parts_.push_back({std::move(text), weight});
  }

  std::string_view prompt_;
  std::vector<size_t> partner_;  ///< of an opening bracket: the closing one, or kNone
  std::vector<size_t> colon_;    ///< the last colon up to here, or kNone
  std::vector<WeightedText> parts_;
};

}  // namespace

std::vector<WeightedText> parse_a1111_emphasis(std::string_view prompt) {
  return A1111Emphasis(prompt).parse();
}

bool is_break(const WeightedText& part) { return part.text == "BREAK" && part.weight == -1; }

std::vector<WeightedText> parse_comfy_emphasis(std::string_view prompt) {
  return ComfyEmphasis(prompt).parse();
}

}  // namespace fourstep
