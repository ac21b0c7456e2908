#include "cli/request_options.h"

#include "cli/config_options.h"

namespace fourstep {

namespace {

template <typename T>
void add_field(CLI::App& command, const FieldInfo& field, T& value) {
  command
      .add_option_function<std::string>(
          flag_name(field),
          [field, &value](const std::string& text) { value_from_text(field, text, value); },
          flag_help(field, text_from_value(value)))
      ->type_name("")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)
      ->group("Image");
}

void add_field(CLI::App& command, const FieldInfo& field, bool& value) {
  command.add_flag(flag_name(field), value, std::string(field.help))->group("Image");
}

/// A flag that adds up when it is repeated.
template <typename T>
void add_list_field(CLI::App& command, const FieldInfo& field, std::vector<T>& value) {
  command
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
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group("Image");
}

void add_field(CLI::App& command, const FieldInfo& field, std::vector<LoraUse>& value) {
  add_list_field(command, field, value);
}

void add_field(CLI::App& command, const FieldInfo& field, std::vector<std::string>& value) {
  add_list_field(command, field, value);
}

}  // namespace

void add_request_options(CLI::App& command, Request& request) {
  visit_fields(request, [&](const FieldInfo& field, auto& value) {
    if (field.name == "prompt") return;  // the positional argument
    add_field(command, field, value);
  });
}

}  // namespace fourstep
