#include "cli/field_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"

namespace fourstep {

std::string flag_names(const FieldInfo& field) {
  std::string names;
  for (const std::string& letter : field_letters(field)) names += fmt::format("-{},", letter);
  for (const std::string& name : field_names(field)) {
    names += fmt::format("{},", flag_name({.name = name, .help = "", .prefix = field.prefix}));
  }
  names.pop_back();
  return names;
}

std::string flag_help(const FieldInfo& field, const std::string& default_text) {
  std::string help(field.help);
  if (!field.unit.empty()) help += fmt::format(" ({})", field.unit);
  if (!default_text.empty() && default_text != "false") help += fmt::format(" [{}]", default_text);
  return help;
}

CLI::Option* add_switch(CLI::App& command, const FieldInfo& field, const std::string& default_text,
                        const OnText& on_text) {
  return command
      .add_flag_function(
          flag_names(field), [on_text](int64_t count) { on_text(text_from_value(count > 0)); },
          flag_help(field, default_text))
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

CLI::Option* add_value(CLI::App& command, const std::string& names, const FieldInfo& field,
                       const std::string& default_text, bool takes_all, const OnText& on_text) {
  using Texts = std::vector<std::string>;
  const auto join = [on_text](const Texts& all) {
    on_text(fmt::format("{}", fmt::join(all, ";")));
  };
  const std::string help = flag_help(field, default_text);
  CLI::Option* option = takes_all ? command.add_option_function<Texts>(names, join, help)
                                  : command.add_option_function<std::string>(names, on_text, help);
  return option->type_name("")->expected(1)->multi_option_policy(
      takes_all ? CLI::MultiOptionPolicy::TakeAll : CLI::MultiOptionPolicy::TakeLast);
}

void check_given(const FieldInfo& field, const std::string& text) {
  if (!text.empty() || field.is_prose) return;
  throw InvalidRequest("{}: the value is empty; leave the option out for its default",
                       flag_name(field));
}

CLI::Option* add_prompt_option(CLI::App& command, Request& request) {
  CLI::Option* added = nullptr;
  visit_prompt_fields(request.prompt, [&](const FieldInfo& field, auto& value) {
    if (field.name != "prompt") return;
    const OnText read = [field, &value](const std::string& text) {
      value_from_text(field, text, value);
    };
    added = add_value(command, flag_names(field) + ",PROMPT", field, "", false, read);
  });
  return added;
}

void add_request_options(CLI::App& command, Request& request) {
  visit_field_groups(request, [&](const char* heading) {
    return [&command, heading](const FieldInfo& field, auto& value) {
      if (field.name == "prompt") return;  // the positional argument
      add_bound_field(command, field, value)->group(heading);
    };
  });
}

}  // namespace fourstep
