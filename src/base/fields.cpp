#include "base/fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "base/text_tools.h"

namespace fourstep {

namespace {

std::string range_text(const FieldInfo& field) {
  const bool has_minimum = std::isfinite(field.minimum), has_maximum = std::isfinite(field.maximum);
  if (has_minimum && has_maximum)
    return fmt::format(" from {} to {}", field.minimum, field.maximum);
  if (has_minimum) return fmt::format(" of at least {}", field.minimum);
  if (has_maximum) return fmt::format(" of at most {}", field.maximum);
  return "";
}

template <typename Number>
void parse_number(const FieldInfo& field, std::string_view text, const char* kind, Number& value) {
  Number parsed{};
  const char* end = std::to_address(text.end());
  const auto [stop, failure] = std::from_chars(std::to_address(text.begin()), end, parsed);
  const auto as_double = static_cast<double>(parsed);
  const bool is_valid = failure == std::errc() && stop == end && std::isfinite(as_double) &&
                        as_double >= field.minimum && as_double <= field.maximum;
  if (!is_valid && text.empty()) {
    throw InvalidRequest("{}: a value is empty; expected {}{}", flag_name(field), kind,
                         range_text(field));
  }
  if (!is_valid) {
    throw InvalidRequest("{}: \"{}\" is not {}{}{}", flag_name(field), text, kind,
                         range_text(field), number_hint(text));
  }
  value = parsed;
}

/// The parts of the aliases that are letters, or those that are words.
std::vector<std::string> aliases_of(const FieldInfo& field, bool are_letters) {
  std::vector<std::string> names = split_text(field.aliases, ' ');
  std::erase_if(names, [&](const std::string& name) { return (name.size() == 1) != are_letters; });
  return names;
}

}  // namespace

std::string field_path(const FieldInfo& field) {
  return field.prefix.empty() ? std::string(field.name)
                              : fmt::format("{}.{}", field.prefix, field.name);
}

std::vector<std::string> field_names(const FieldInfo& field) {
  std::vector<std::string> names = aliases_of(field, /*are_letters=*/false);
  names.insert(names.begin(), std::string(field.name));
  return names;
}

std::vector<std::string> field_letters(const FieldInfo& field) {
  return aliases_of(field, /*are_letters=*/true);
}

std::string number_hint(std::string_view text) {
  if (text.empty()) return "";
  if (text.back() == '%') {
    const auto percent = finite_number(text.substr(0, text.size() - 1));
    return percent ? fmt::format(" (write {} for {})", *percent / 100, text) : "";
  }
  if (text.back() == 'x' && finite_number(text.substr(0, text.size() - 1))) {
    return fmt::format(" (write {} without x)", text.substr(0, text.size() - 1));
  }
  std::string with_point(text);
  if (std::count(text.begin(), text.end(), ',') != 1) return "";
  std::replace(with_point.begin(), with_point.end(), ',', '.');
  return finite_number(with_point) ? fmt::format(" (write {} with a point)", with_point) : "";
}

void check_word(const char* flag, const std::string& word,
                std::initializer_list<const char*> known) {
  if (std::find(known.begin(), known.end(), word) != known.end()) return;
  throw InvalidRequest("{}: \"{}\" is none of {}", flag, word, fmt::join(known, ", "));
}

void throw_unknown_word(const FieldInfo& field, std::string_view text,
                        const std::vector<std::string_view>& known) {
  throw InvalidRequest("{}: \"{}\" is none of {}", flag_name(field), text, fmt::join(known, ", "));
}

std::string flag_name(const FieldInfo& field) {
  std::string flag = "--" + field_path(field);
  for (char& c : flag) {
    if (c == '_' || c == '.') c = '-';
  }
  return flag;
}

std::vector<std::string> split_text(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    std::string_view part = text.substr(0, end);
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    parts.emplace_back(part);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

void value_from_text(const FieldInfo&, std::string_view text, std::string& value) { value = text; }

void value_from_text(const FieldInfo& field, std::string_view text, bool& value) {
  const bool is_true = text == "true" || text == "1" || text == "yes" || text == "on";
  const bool is_false = text == "false" || text == "0" || text == "no" || text == "off";
  if (!is_true && !is_false) {
    throw InvalidRequest("{}: \"{}\" is neither true nor false", flag_name(field), text);
  }
  value = is_true;
}

void value_from_text(const FieldInfo& field, std::string_view text, int64_t& value) {
  parse_number(field, text, "a whole number", value);
}

void value_from_text(const FieldInfo& field, std::string_view text, uint64_t& value) {
  parse_number(field, text, "a whole number without sign", value);
}

void value_from_text(const FieldInfo& field, std::string_view text, double& value) {
  parse_number(field, text, "a number", value);
}

void value_from_text(const FieldInfo& field, std::string_view text, std::vector<double>& value) {
  std::vector<double> parsed;
  for (const std::string& part : split_text(text, ',')) {
    value_from_text(field, part, parsed.emplace_back());
  }
  value = std::move(parsed);
}

void value_from_text(const FieldInfo&, std::string_view text, std::vector<std::string>& value) {
  value = split_text(text, ';');
}

std::string text_from_value(const std::string& value) { return value; }
std::string text_from_value(bool value) { return value ? "true" : "false"; }
std::string text_from_value(int64_t value) { return std::to_string(value); }
std::string text_from_value(uint64_t value) { return std::to_string(value); }
std::string text_from_value(double value) { return fmt::format("{}", value); }

std::string text_from_value(const std::vector<double>& value) {
  return fmt::format("{}", fmt::join(value, ","));
}

std::string text_from_value(const std::vector<std::string>& value) {
  return fmt::format("{}", fmt::join(value, ";"));
}

}  // namespace fourstep
