#pragma once
// What is said once about an option (name, help, range, unit) and the text form of its value.
// Structs list their options in a visit_fields() function; command line, JSON, image metadata and
// sweeps derive from it.

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
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
  /// What other programs call it, separated by blanks: snake_case words, and letters for flags such
  /// as -s.
  std::string_view aliases = {};
  bool is_prose = false;  ///< a text that people write, such as a prompt; it may be empty
  /// Of the struct within a struct that has the field, see visit_prefixed(); empty: it has no name
  /// of its own.
  std::string_view prefix = {};
};

/// Passes the fields of a struct within a struct on as PREFIX.NAME: flag --PREFIX-NAME, JSON
/// {"PREFIX": {"NAME": ...}}.
/// visit_own: calls its argument for every field. prefix: must outlive the visit.
template <typename VisitOwn, typename Visitor>
void visit_prefixed(std::string_view prefix, VisitOwn&& visit_own, Visitor&& visit) {
  visit_own([&](FieldInfo field, auto& value) {
    field.prefix = prefix;
    visit(field, value);
  });
}

/// "hires.scale", or "steps" where there is no prefix.
std::string field_path(const FieldInfo& field);

/// The name and the words of the aliases, the name first; without prefix.
std::vector<std::string> field_names(const FieldInfo& field);

/// The letters of the aliases.
std::vector<std::string> field_letters(const FieldInfo& field);

/// Text to value and back. An empty text is "not set" for optionals and lists. Numbers out of the
/// field's range, NaN, trailing characters: InvalidRequest naming the flag, what it got and the
/// range, and how to write what was probably meant (decimal commas, percent).
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

/// -1 is "not set" for whole numbers without sign: so A1111 and stable-diffusion.cpp write a random
/// seed.
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

/// A word and what it stands for. Of an enum whose values people write as words, a function
/// `words_of(Enum)` beside it returns a span of these; the first word of a value is the one to
/// print.
template <typename Enum>
struct Word {
  std::string_view word;
  Enum value;
};

/// Throws InvalidRequest naming the flag, the text and the words that are known.
[[noreturn]] void throw_unknown_word(const FieldInfo& field, std::string_view text,
                                     const std::vector<std::string_view>& known);

template <typename Enum>
requires std::is_enum_v<Enum>
void value_from_text(const FieldInfo& field, std::string_view text, Enum& value) {
  std::vector<std::string_view> known;
  for (const auto& [word, meaning] : words_of(Enum())) {
    if (word == text) {
      value = meaning;
      return;
    }
    known.push_back(word);
  }
  throw_unknown_word(field, text, known);
}

template <typename Enum>
requires std::is_enum_v<Enum> std::string text_from_value(Enum value) {
  for (const auto& [word, meaning] : words_of(value)) {
    if (meaning == value) return std::string(word);
  }
  return {};
}

/// " (write 1.5 with a point)" for a number that is written as people write it elsewhere: with a
/// decimal comma, a percent sign or a multiplication sign behind it. Empty for all other texts.
std::string number_hint(std::string_view text);

/// Throws InvalidRequest naming the flag and the words that are known unless `word` is one of them.
void check_word(const char* flag, const std::string& word,
                std::initializer_list<const char*> known);

/// "--cfg-scale" from "cfg_scale", "--hires-scale" from "scale" of "hires".
std::string flag_name(const FieldInfo& field);

/// The parts between `separator`, without surrounding blanks; an empty text has no parts.
std::vector<std::string> split_text(std::string_view text, char separator);

}  // namespace fourstep
