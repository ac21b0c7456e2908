#pragma once
// What is said once about an option (name, help, range, unit) and the text form of its value. Structs list
// their options in a visit_fields() function; command line, JSON, image metadata and sweeps derive from it.

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace fourstep {

struct FieldInfo {
  std::string_view name;  ///< snake_case; the command-line flag has '-' for '_'
  std::string_view help;
  std::string_view unit = {};  ///< "px", "steps", ...; empty for pure numbers and text
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  /// What other programs call it, separated by blanks: snake_case words, and letters for flags such as -s.
  std::string_view aliases = {};
  bool is_prose = false;  ///< a text that people write, such as a prompt; it may be empty
};

/// The name and the words of the aliases, the name first.
std::vector<std::string> field_names(const FieldInfo& field);

/// The letters of the aliases.
std::vector<std::string> field_letters(const FieldInfo& field);

/// Text to value and back. An empty text is "not set" for optionals and lists. Numbers out of the field's
/// range, NaN, trailing characters: InvalidRequest naming the flag, what it got and the range, and how to write what
/// was probably meant (decimal commas, percent).
void value_from_text(const FieldInfo& field, std::string_view text, std::string& value);
void value_from_text(const FieldInfo& field, std::string_view text, bool& value);
void value_from_text(const FieldInfo& field, std::string_view text, int64_t& value);
void value_from_text(const FieldInfo& field, std::string_view text, uint64_t& value);
void value_from_text(const FieldInfo& field, std::string_view text, double& value);
void value_from_text(const FieldInfo& field, std::string_view text, std::vector<double>& value);
/// Separated by ';'; for names of files and folders, which may hold commas.
void value_from_text(const FieldInfo& field, std::string_view text,
                     std::vector<std::string>& value);

std::string text_from_value(const std::string& value);
std::string text_from_value(bool value);
std::string text_from_value(int64_t value);
std::string text_from_value(uint64_t value);
std::string text_from_value(
    double value);  ///< the shortest text that reads back as the same number
std::string text_from_value(const std::vector<double>& value);
std::string text_from_value(const std::vector<std::string>& value);

/// -1 is "not set" for whole numbers without sign: so A1111 and stable-diffusion.cpp write a random seed.
template <typename T>
void value_from_text(const FieldInfo& field, std::string_view text, std::optional<T>& value) {
  if (text.empty() || (std::is_same_v<T, uint64_t> && text == "-1")) {
    value.reset();
    return;
  }
  T parsed{};
  value_from_text(field, text, parsed);
  value = parsed;
}

template <typename T>
std::string text_from_value(const std::optional<T>& value) {
  return value ? text_from_value(*value) : std::string();
}

/// " (write 1.5 with a point)" for a number that is written as people write it elsewhere: with a decimal comma, a percent
/// sign or a multiplication sign behind it. Empty for all other texts.
std::string number_hint(std::string_view text);

/// Throws InvalidRequest naming the flag and the words that are known unless `word` is one of them.
void check_word(const char* flag, const std::string& word,
                std::initializer_list<const char*> known);

/// "--cfg-scale" from "cfg_scale".
std::string flag_name(const FieldInfo& field);

/// The parts between `separator`, without surrounding blanks; an empty text has no parts.
std::vector<std::string> split_text(std::string_view text, char separator);

}  // namespace fourstep
