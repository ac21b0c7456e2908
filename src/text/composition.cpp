#include "text/composition.h"

#include <algorithm>

#include "base/text_tools.h"
#include "text/prompt_scan.h"

namespace fourstep {
namespace {

WeightedText part_of(std::string_view text) {
  text = without_blanks_behind(text);
  const size_t end_of_text = text.find_last_not_of("0123456789.");
  if (end_of_text == std::string_view::npos) return {std::string(text), 1};
  const bool has_sign = text[end_of_text] == '+' || text[end_of_text] == '-';
  const std::string_view number = text.substr(end_of_text + (has_sign ? 0 : 1));
  const std::string_view before =
      without_blanks_behind(text.substr(0, text.size() - number.size()));
  const auto weight = before.ends_with(':') ? finite_number(number) : std::nullopt;
  if (!weight) return {std::string(text), 1};
  return {std::string(without_blanks_behind(before.substr(0, before.size() - 1))), *weight};
}

}  // namespace

std::vector<WeightedText> parse_composition(std::string_view prompt) {
  constexpr std::string_view kAnd = "AND";
  std::vector<WeightedText> parts;
  size_t begin = 0;
  for (size_t found = prompt.find(kAnd); found != std::string_view::npos;
       found = prompt.find(kAnd, found + kAnd.size())) {
    if (!is_whole_word(prompt, found, found + kAnd.size())) continue;
    parts.push_back(part_of(prompt.substr(begin, found - begin)));
    begin = found + kAnd.size();
  }
  parts.push_back(part_of(prompt.substr(begin)));
  return parts;
}

}  // namespace fourstep
