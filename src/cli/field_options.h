#pragma once
// Flags out of fields: what a visit_fields() function lists, a command line takes. Values go
// straight into the struct, or are kept as texts that win over a settings file.

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <vector>

#include "io/fields_json.h"
#include "request/request.h"

namespace fourstep {

/// "-s,--seed,--other-name", for CLI11.
std::string flag_names(const FieldInfo& field);

/// "what it is (unit) [default]".
std::string flag_help(const FieldInfo& field, const std::string& default_text);

/// Takes the text of a flag that was given.
using OnText = std::function<void(const std::string&)>;

/// --x and --no-x, for "true" and "false".
CLI::Option* add_switch(CLI::App& command, const FieldInfo& field, const std::string& default_text,
                        const OnText& on_text);

/// A flag with a value; of one given twice the last counts, or all, joined by ';'. names: as
/// flag_names().
CLI::Option* add_value(CLI::App& command, const std::string& names, const FieldInfo& field,
                       const std::string& default_text, bool takes_all, const OnText& on_text);

/// By the type of the field: a switch, a list that adds up when it is repeated, or one value.
template <typename T>
CLI::Option* add_field(CLI::App& command, const FieldInfo& field, const T& value,
                       const OnText& on_text) {
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::optional<bool>>) {
    return add_switch(command, field, text_from_value(value), on_text);
  } else {
    constexpr bool kTakesAll =
        std::is_same_v<T, std::vector<std::string>> || std::is_same_v<T, std::vector<LoraUse>>;
    return add_value(command, flag_names(field), field, text_from_value(value), kTakesAll, on_text);
  }
}

/// Throws InvalidRequest for an empty value of a field that is no prose: a variable of a script
/// that is not set must not stand for a default in silence.
void check_given(const FieldInfo& field, const std::string& text);

/// A flag that reads its text into `value`, which must outlive the parse; bad and empty values end
/// it with InvalidRequest.
template <typename T>
CLI::Option* add_bound_field(CLI::App& command, const FieldInfo& field, T& value) {
  return add_field(command, field, value, [field, &value](const std::string& text) {
    check_given(field, text);
    value_from_text(field, text, value);
  });
}

/// One for every field of `fields`.
template <typename Fields>
void add_fields(CLI::App& command, Fields& fields, const char* heading = "Settings") {
  visit_fields(fields, [&](const FieldInfo& field, auto& value) {
    add_bound_field(command, field, value)->group(heading);
  });
}

/// The prompt, as --prompt and as the command's one word without an option.
CLI::Option* add_prompt_option(CLI::App& command, Request& request);

/// The other fields of a request under the headings of their groups.
void add_request_options(CLI::App& command, Request& request);

/// The texts of the flags that were given, by field_path().
using FlagTexts = std::map<std::string, std::string>;

/// Declares a flag for every field of `defaults` and collects the texts of those that are given.
/// repeated: the name of a field of which all are kept, joined by ';'.
template <typename Config>
void add_config_options(CLI::App& command, const Config& defaults, FlagTexts& texts,
                        std::string_view repeated = {}) {
  visit_fields(defaults, [&](const FieldInfo& field, const auto& value) {
    const std::string name = field_path(field);
    const OnText keep = [&texts, name](const std::string& text) { texts[name] = text; };
    CLI::Option* option = name == repeated ? add_value(command, flag_names(field), field,
                                                       text_from_value(value), true, keep)
                                           : add_field(command, field, value, keep);
    option->group("Settings");
  });
}

/// Defaults, then the JSON file (unless its name is empty), then the flags.
/// Throws Error when the file cannot be read, InvalidRequest naming a field that is unknown or out
/// of range.
template <typename Config>
Config read_config(const std::string& file, const FlagTexts& texts) {
  Config config;
  if (!file.empty()) read_fields(nlohmann::ordered_json(read_json_object(file)), config, file);
  visit_fields(config, [&](const FieldInfo& field, auto& value) {
    const auto found = texts.find(field_path(field));
    if (found != texts.end()) value_from_text(field, found->second, value);
  });
  return config;
}

}  // namespace fourstep
