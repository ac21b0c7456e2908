#include "cli/request_options.h"

#include "base/error.h"
#include "cli/config_options.h"

namespace fourstep {

namespace {

/// A variable of a script that is not set must not stand for a default in silence.
void check_given(const FieldInfo& field, const std::string& text) {
  if (!text.empty() || field.is_prose) return;
  throw InvalidRequest("{}: the value is empty; leave the option out for its default",
                       flag_name(field));
}

template <typename T>
CLI::Option* add_named(CLI::App& command, const std::string& names, const FieldInfo& field,
                       T& value) {
  return command
      .add_option_function<std::string>(
          names,
          [field, &value](const std::string& text) {
            check_given(field, text);
            value_from_text(field, text, value);
          },
          flag_help(field, text_from_value(value)))
      ->type_name("")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

template <typename T>
CLI::Option* add_field(CLI::App& command, const FieldInfo& field, T& value) {
  return add_named(command, flag_names(field), field, value);
}

template <typename Switch>
CLI::Option* add_switch(CLI::App& command, const FieldInfo& field, Switch& value) {
  return command
      .add_flag_function(
          flag_names(field), [&value](int64_t count) { value = count > 0; }, flag_help(field, ""))
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

CLI::Option* add_field(CLI::App& command, const FieldInfo& field, bool& value) {
  return add_switch(command, field, value);
}

CLI::Option* add_field(CLI::App& command, const FieldInfo& field, std::optional<bool>& value) {
  return add_switch(command, field, value);
}

/// A flag that adds up when it is repeated.
template <typename T>
CLI::Option* add_list_field(CLI::App& command, const FieldInfo& field, std::vector<T>& value) {
  return command
      .add_option_function<std::vector<std::string>>(
          flag_names(field),
          [field, &value](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              check_given(field, text);
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

CLI::Option* add_prompt_option(CLI::App& command, Request& request) {
  CLI::Option* added = nullptr;
  visit_prompt_fields(request, [&](const FieldInfo& field, auto& value) {
    if (field.name != "prompt") return;
    added = add_named(command, flag_names(field) + ",PROMPT", field, value);
  });
  return added;
}

void add_request_options(CLI::App& command, Request& request) {
  visit_field_groups(request, [&](const char* heading) {
    return [&command, heading](const FieldInfo& field, auto& value) {
      if (field.name == "prompt") return;  // the positional argument
      add_field(command, field, value)->group(heading);
    };
  });
}

}  // namespace fourstep
