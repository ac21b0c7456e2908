#include "text/wildcard_syntax.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/text_tools.h"
#include "text/prompt_scan.h"

namespace fourstep {
namespace {

constexpr std::string_view kRangeEnd = "$$";
constexpr std::string_view kNameMark = "__";

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-_/.*?[]!").find(c) != std::string_view::npos ||
         static_cast<unsigned char>(c) >= 0x80;
}

[[noreturn]] void refuse_sampling(std::string_view what) {
  throw InvalidRequest(
      "wildcards: \"{}\": the ways of sampling \"!\" (all combinations) and \"@\" (in turn) of "
      "Dynamic Prompts are not supported; leave the sign out for a random choice, or put a blank "
      "before it if it is text",
      what);
}

std::optional<size_t> count_from_text(std::string_view text) {
  text = without_blanks(text);
  size_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return count;
}

/// "2", "1-3", "2-", "-2" into the choice; false for another text.
bool read_range(std::string_view range, ChoiceSyntax& choice) {
  const size_t hyphen = range.find('-');
  if (hyphen == std::string_view::npos) {
    const auto exact = count_from_text(range);
    if (!exact) return false;
    choice.least = choice.most = *exact;
    return true;
  }
  const std::string_view lower = without_blanks(range.substr(0, hyphen)),
                         upper = without_blanks(range.substr(hyphen + 1));
  const auto least = count_from_text(lower), most = count_from_text(upper);
  if ((!least && !lower.empty()) || (!most && !upper.empty()) || (!least && !most)) return false;
  const size_t first = least.value_or(1), last = most.value_or(std::string_view::npos);
  choice.least = std::min(first, last);
  choice.most = std::max(first, last);
  return true;
}

/// Takes "range$$" and "separator$$" off the front of `inside`, where they are.
void take_range(std::string_view& inside, ChoiceSyntax& choice) {
  const size_t end = inside.find(kRangeEnd);
  if (end == std::string_view::npos || !read_range(inside.substr(0, end), choice)) return;
  choice.has_range = true;
  inside.remove_prefix(end + kRangeEnd.size());
  const size_t separator_end = inside.find(kRangeEnd);
  if (separator_end == std::string_view::npos || separator_end == 0) return;
  const std::string_view separator = inside.substr(0, separator_end);
  if (separator.find_first_of("${}") != std::string_view::npos) return;
  choice.separator = separator;
  inside.remove_prefix(separator_end + kRangeEnd.size());
}

/// The end of a name that begins at `begin`, before its closing mark; npos: there is none.
size_t name_end(std::string_view text, size_t begin) {
  std::vector<size_t> partner;
  for (size_t i = begin; i < text.size();) {
    if (text.substr(i).starts_with(kNameMark) && i > begin) return i;
    const bool opens = text[i] == '{' || text.substr(i).starts_with("${");
    if (opens && partner.empty()) partner = pair_braces(text);
    const size_t brace = i + (opens && text[i] == '$' ? 1 : 0);
    if (opens && partner[brace] != std::string_view::npos) {
      i = partner[brace] + 1;
    } else if (is_name_character(text[i]) || (text[i] == ' ' && i > begin)) {
      ++i;
    } else {
      break;
    }
  }
  return std::string_view::npos;
}

/// "__name(" with ")__" somewhere behind it.
bool has_arguments(std::string_view text) {
  size_t end = kNameMark.size();
  while (end < text.size() && is_name_character(text[end])) ++end;
  if (end == kNameMark.size() || end == text.size() || text[end] != '(') return false;
  const size_t closing = text.find(')', end);
  return closing != std::string_view::npos && text.substr(closing + 1).starts_with(kNameMark);
}

/// The characters outside of inner braces that no backslash stands before.
std::vector<size_t> outer_places(std::string_view text) {
  std::vector<size_t> places;
  size_t depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '{') {
      ++depth;
    } else if (text[i] == '}' && depth > 0) {
      --depth;
    } else if (depth == 0) {
      places.push_back(i);
    }
  }
  return places;
}

bool has_range_mark(std::string_view text) {
  const std::vector<size_t> places = outer_places(text);
  return std::any_of(places.begin(), places.end(),
                     [&](size_t i) { return text.substr(i).starts_with(kRangeEnd); });
}

std::string_view without_blanks_in_front(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}

size_t variable_name_length(std::string_view text) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
  };
  size_t length = 0;
  while (length < text.size() &&
         (is_letter(text[length]) || (length > 0 && text[length] >= '0' && text[length] <= '9'))) {
    ++length;
  }
  return length;
}

bool take(std::string_view& text, char sign) {
  if (!text.starts_with(sign)) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::vector<size_t> pair_braces(std::string_view text) {
  std::vector<size_t> partner(text.size(), std::string_view::npos), open;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '{') {
      open.push_back(i);
    } else if (text[i] == '}' && !open.empty()) {
      partner[open.back()] = i;
      open.pop_back();
    }
  }
  return partner;
}

std::vector<std::string_view> split_options(std::string_view text) {
  std::vector<std::string_view> options;
  size_t begin = 0;
  for (const size_t i : outer_places(text)) {
    if (text[i] != '|') continue;
    options.push_back(text.substr(begin, i - begin));
    begin = i + 1;
  }
  options.push_back(text.substr(begin));
  return options;
}

WeightedOption weighted_option(std::string_view option) {
  const size_t colons = option.find("::");
  const auto weight =
      colons == std::string_view::npos ? std::nullopt : finite_number(option.substr(0, colons));
  if (!weight) return {1, option};
  return {std::max(*weight, 0.0), option.substr(colons + 2)};
}

std::optional<ChoiceSyntax> parse_choice(std::string_view inside) {
  ChoiceSyntax choice;
  const bool has_sign =
      !inside.empty() && std::string_view("~!@").find(inside.front()) != std::string_view::npos;
  std::string_view rest = has_sign ? inside.substr(1) : inside;
  take_range(rest, choice);
  choice.options = split_options(rest);
  if (!choice.has_range && choice.options.size() < 2) return std::nullopt;
  const std::string whole = "{" + std::string(inside) + "}";
  if (has_sign && inside.front() != '~') refuse_sampling(whole);
  if (has_range_mark(rest)) {
    throw InvalidRequest(
        "wildcards: \"{}\": \"$$\" follows no number of options; write {{2$$a|b|c}}, "
        "{{1-3$$a|b|c}} "
        "or {{2$$ and $$a|b|c}}",
        whole);
  }
  return choice;
}

std::optional<NameSyntax> parse_name(std::string_view text) {
  if (!text.starts_with(kNameMark)) return std::nullopt;
  if (has_arguments(text)) {
    throw InvalidRequest(
        "wildcards: \"{}\": values for the variables of a list, __name(a=b)__ of Dynamic Prompts, "
        "are not supported; set the variable before it, as ${{a=b}}",
        text.substr(0, text.find(")__") + 3));
  }
  const bool has_sign =
      text.size() > 2 && std::string_view("~!@").find(text[2]) != std::string_view::npos;
  const size_t begin = kNameMark.size() + (has_sign ? 1 : 0), end = name_end(text, begin);
  if (end == std::string_view::npos || text[end - 1] == ' ') return std::nullopt;
  const size_t length = end + kNameMark.size();
  if (has_sign && text[2] != '~') refuse_sampling(text.substr(0, length));
  return NameSyntax{text.substr(begin, end - begin), length};
}

std::optional<VariableSyntax> parse_variable(std::string_view inside) {
  std::string_view rest = without_blanks_in_front(inside);
  VariableSyntax variable;
  variable.name = rest.substr(0, variable_name_length(rest));
  if (variable.name.empty()) return std::nullopt;
  rest = without_blanks_in_front(rest.substr(variable.name.size()));
  if (take(rest, ':')) {
    variable.fallback = without_blanks_in_front(rest);
    return variable;
  }
  variable.keeps_earlier = take(rest, '?');
  if (take(rest, '=')) {
    variable.is_immediate = take(rest, '!');
    variable.value = without_blanks_in_front(rest);
    return variable;
  }
  const bool is_use = rest.empty() && !variable.keeps_earlier;
  return is_use ? std::optional(variable) : std::nullopt;
}

}  // namespace fourstep
