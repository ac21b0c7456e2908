#pragma once
// Commands with a settings file: each field of the file is a flag too, and the flag wins.

#include <CLI/CLI.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>

#include "io/fields_json.h"
#include "io/json_file.h"

namespace fourstep {

/// The texts of the flags that were given, by field name.
using FlagTexts = std::map<std::string, std::string>;

/// "-s,--seed,--other-name", for CLI11.
std::string flag_names(const FieldInfo& field);

/// "what it is (unit) [default]".
std::string flag_help(const FieldInfo& field, const std::string& default_text);

/// Declares a flag for every field of `defaults` and collects those that are given; of one given twice the last.
/// repeated: the name of a field of which all are kept, joined by ';'.
template <typename Config>
void add_config_options(CLI::App& command, const Config& defaults, FlagTexts& texts,
                        std::string_view repeated = {}) {
  using Texts = std::vector<std::string>;
  visit_fields(defaults, [&](const FieldInfo& field, const auto& value) {
    const std::string name(field.name);
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, bool>) {
      const auto keep = [&texts, name](int64_t count) { texts[name] = text_from_value(count > 0); };
      command.add_flag_function(flag_names(field), keep, flag_help(field, text_from_value(value)))
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
          ->group("Settings");
      return;
    }
    const bool is_repeated = name == repeated;
    command
        .add_option_function<Texts>(
            flag_names(field),
            [&texts, name](const Texts& all) {
              texts[name] = fmt::format("{}", fmt::join(all, ";"));
            },
            flag_help(field, text_from_value(value)))
        ->type_name("")
        ->expected(1)
        ->multi_option_policy(is_repeated ? CLI::MultiOptionPolicy::TakeAll
                                          : CLI::MultiOptionPolicy::TakeLast)
        ->group("Settings");
  });
}

/// Defaults, then the JSON file (unless its name is empty), then the flags.
/// Throws Error when the file cannot be read, InvalidRequest naming a field that is unknown or out of range.
template <typename Config>
Config read_config(const std::string& file, const FlagTexts& texts) {
  Config config;
  if (!file.empty()) read_fields(nlohmann::ordered_json(read_json_object(file)), config, file);
  visit_fields(config, [&](const FieldInfo& field, auto& value) {
    const auto found = texts.find(std::string(field.name));
    if (found != texts.end()) value_from_text(field, found->second, value);
  });
  return config;
}

}  // namespace fourstep
