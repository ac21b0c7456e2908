#include "cli/request_options.h"

#include "cli/config_options.h"

namespace fourstep {

namespace {

template <typename T>
CLI::Option* add_field(CLI::App& command, const FieldInfo& field, T& value) {
  return command
      .add_option_function<std::string>(
          flag_name(field),
          [field, &value](const std::string& text) { value_from_text(field, text, value); },
          flag_help(field, text_from_value(value)))
      ->type_name("")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

CLI::Option* add_field(CLI::App& command, const FieldInfo& field, bool& value) {
  return command.add_flag(flag_name(field), value, flag_help(field, ""));
}

/// A flag that adds up when it is repeated.
template <typename T>
CLI::Option* add_list_field(CLI::App& command, const FieldInfo& field, std::vector<T>& value) {
  return command
      .add_option_function<std::vector<std::string>>(
          flag_name(field),
          [field, &value](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              std::vector<T> items;
              value_from_text(field, text, items);
              value.insert(value.end(), items.begin(), items.end());
            }
          },
          flag_help(field, ""))
      ->type_name("")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

CLI::Option* add_field(CLI::App& command, const FieldInfo& field, std::vector<LoraUse>& value) {
  return add_list_field(command, field, value);
}

CLI::Option* add_field(CLI::App& command, const FieldInfo& field, std::vector<std::string>& value) {
  return add_list_field(command, field, value);
}

}  // namespace

void add_request_options(CLI::App& command, Request& request) {
  visit_field_groups(request, [&](const char* heading) {
    return [&command, heading](const FieldInfo& field, auto& value) {
      if (field.name == "prompt") return;  // the positional argument
      add_field(command, field, value)->group(heading);
    };
  });
}

}  // namespace fourstep
