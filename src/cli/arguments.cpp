#include "cli/arguments.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/text_tools.h"
#include "cli/foreign_options.h"

namespace fourstep {

namespace {

using Words = std::vector<std::string>;

bool is_option(const std::string& word) { return word.size() > 1 && word[0] == '-'; }

bool is_number(const std::string& word) { return finite_number(word).has_value(); }

bool is_switch(const CLI::Option& option) { return option.get_items_expected_max() == 0; }

/// As it would be typed into a shell.
std::string quoted(const std::string& word) {
  constexpr std::string_view kSafe =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
  if (!word.empty() && word.find_first_not_of(kSafe) == std::string::npos) return word;
  std::string text = "\"";
  for (const char c : word) {
    if (c == '"' || c == '\\' || c == '$' || c == '`') text += '\\';
    text += c;
  }
  return text + '"';
}

/// A word for a message, cut where it is long.
std::string excerpt(const std::string& word) {
  constexpr size_t kLongest = 200;
  return word.size() <= kLongest ? word : word.substr(0, kLongest) + "...";
}

Words names_of_commands(const CLI::App& app) {
  Words names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

CLI::App* subcommand(CLI::App& app, const std::string& name) {
  for (CLI::App* command : app.get_subcommands({})) {
    if (command->get_name() == name) return command;
  }
  return nullptr;
}

Words names_of_options(const CLI::App& command) {
  Words names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

/// "fourstep lora detect".
std::string path_of(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return parent ? path_of(*parent) + " " + command.get_name() : command.get_name();
}

bool is_true_word(const std::string& word) {
  return word == "true" || word == "yes" || word == "on" || word == "1";
}

bool is_false_word(const std::string& word) {
  return word == "false" || word == "no" || word == "off" || word == "0";
}

/// The walk over the words of one command.
class ArgumentWalk {
 public:
  ArgumentWalk(CLI::App& app, const Words& arguments) : command_(&app), arguments_(arguments) {}

  CheckedArguments walk() {
    if (!find_command()) return {arguments_, {}, true};  // --help or --version comes first
    if (asks_for_help()) {
      checked_.words.emplace_back("--help");
      return std::move(checked_);
    }
    while (at_ < arguments_.size()) step();
    check_prompt();
    checked_.is_quiet = count("--quiet") > 0;
    return std::move(checked_);
  }

 private:
  /// Goes to the command that the first words name. False when there is nothing to check behind them.
  bool find_command() {
    for (; !command_->get_subcommands({}).empty(); ++at_) {
      if (at_ == arguments_.size()) refuse_missing_command();
      const std::string& word = arguments_[at_];
      if (command_->get_option_no_throw(word)) return false;
      if (is_option(word)) refuse_option_before_command(word);
      CLI::App* next = subcommand(*command_, word);
      if (!next) refuse_command(word);
      command_ = next;
      checked_.words.push_back(word);
    }
    num_commands_ = at_;
    return true;
  }

  /// Whatever else stands there, mistakes too. The height is -H, so a number behind -h is no call for help.
  bool asks_for_help() const {
    for (size_t i = at_; i < arguments_.size() && arguments_[i] != "--"; ++i) {
      const bool is_height = i + 1 < arguments_.size() && is_number(arguments_[i + 1]);
      if (arguments_[i] == "--help" || (arguments_[i] == "-h" && !is_height)) return true;
    }
    return false;
  }

  [[noreturn]] void refuse_missing_command() const {
    throw InvalidRequest("{}: a subcommand is missing; expected {}", path_of(*command_),
                         joined_with_or(names_of_commands(*command_)));
  }

  [[noreturn]] void refuse_option_before_command(const std::string& word) const {
    const bool is_root = command_->get_parent() == nullptr;
    const std::string commands =
        is_root ? "generate" : joined_with_or(names_of_commands(*command_));
    throw InvalidRequest("{}: options such as {} come behind a subcommand: {} {} {}",
                         path_of(*command_), excerpt(word), path_of(*command_), commands,
                         is_root ? fmt::format("{}", fmt::join(quoted_from(at_), " ")) : "...");
  }

  [[noreturn]] void refuse_command(const std::string& word) const {
    const bool is_prompt = command_->get_parent() == nullptr && word.find(' ') != std::string::npos;
    if (is_prompt) {
      throw InvalidRequest("\"{}\" is not a subcommand; to draw it: fourstep generate {}",
                           excerpt(word), fmt::join(quoted_from(at_), " "));
    }
    throw InvalidRequest("{}: \"{}\" is not a subcommand{}", path_of(*command_), excerpt(word),
                         did_you_mean(word, names_of_commands(*command_)));
  }

  Words quoted_from(size_t begin) const {
    Words words;
    for (size_t i = begin; i < arguments_.size(); ++i) words.push_back(quoted(arguments_[i]));
    return words;
  }

  void step() {
    const std::string& word = arguments_[at_];
    if (word == "--") {
      checked_.words.push_back(word);
      while (++at_ < arguments_.size()) add_positional();
      return;
    }
    if (word.starts_with("--")) return take_long(word);
    if (is_option(word) && !is_number(word)) return take_short(word);
    add_positional();
    ++at_;
  }

  void add_positional() {
    positionals_.push_back(at_);
    checked_.words.push_back(arguments_[at_]);
  }

  /// The option of a name with its dashes; '_' is '-'.
  const CLI::Option* find_option(std::string name) const {
    std::replace(name.begin(), name.end(), '_', '-');
    return command_->get_option_no_throw(name);
  }

  void take_long(const std::string& word) {
    const size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    if (const CLI::Option* option = find_option(name)) {
      if (equals == std::string::npos) return take(*option, name, nullptr);
      const std::string value = word.substr(equals + 1);
      return take(*option, name, &value);
    }
    if (take_negated(name, equals == std::string::npos ? "" : word.substr(equals + 1))) return;
    refuse_option(word, name);
  }

  /// --no-x of a switch --x, and --x of a switch --no-x.
  bool take_negated(const std::string& name, const std::string& value) {
    const bool has_no = name.starts_with("--no-") || name.starts_with("--no_");
    const std::string other = has_no ? "--" + name.substr(5) : "--no-" + name.substr(2);
    const CLI::Option* option = find_option(other);
    if (!option || !is_switch(*option)) return false;
    const std::string opposite = is_false_word(switch_value(name, value)) ? "true" : "false";
    take(*option, other, &opposite);
    return true;
  }

  /// What stands behind a switch, "true" for nothing.
  std::string switch_value(const std::string& name, std::string value) {
    if (value.empty() && at_ + 1 < arguments_.size()) {
      const std::string& next = arguments_[at_ + 1];
      const bool is_word = next.size() > 1 && (is_true_word(next) || is_false_word(next));
      if (is_word) value = arguments_[++at_];
    }
    value = lower_ascii(value);
    if (value.empty() || is_true_word(value)) return "true";
    if (is_false_word(value)) return "false";
    throw InvalidRequest("{}: \"{}\" is neither true nor false", name, excerpt(value));
  }

  void take(const CLI::Option& option, const std::string& name, const std::string* value) {
    const std::string flag = option.get_lnames().empty() ? name : "--" + option.get_lnames()[0];
    if (is_switch(option)) {
      // CLI11 itself turns what a switch --no-x is given round; here names are as they are declared.
      const std::string text = switch_value(name, value ? *value : "");
      checked_.words.push_back(flag + "=" + text);
      counts_[&option] += 1;
      ++at_;
      return;
    }
    checked_.words.push_back(flag);
    checked_.words.push_back(value ? *value : next_value(option, name));
    note_repetition(option, name, checked_.words.back());
    ++at_;
    // Options that take several words at once.
    while (!value && option.get_items_expected_max() > 1 && option.get_allow_extra_args() &&
           at_ < arguments_.size() && !is_option(arguments_[at_])) {
      checked_.words.push_back(arguments_[at_++]);
    }
  }

  std::string next_value(const CLI::Option& option, const std::string& name) {
    if (at_ + 1 == arguments_.size()) {
      throw InvalidRequest("{}: a value is missing ({})", name, option.get_description());
    }
    const std::string& next = arguments_[at_ + 1];
    const std::string next_name = next.substr(0, next.find('='));
    if (next_name.starts_with("--") && next_name.size() > 2 && find_option(next_name)) {
      throw InvalidRequest(
          "{}: a value is missing before {}; one that begins with - is written {}=...", name,
          next_name, name);
    }
    ++at_;
    return next;
  }

  void note_repetition(const CLI::Option& option, const std::string& name,
                       const std::string& value) {
    if (counts_[&option]++ == 0) return;
    const auto policy = option.get_multi_option_policy();
    const bool is_list = option.get_items_expected_max() > 1;
    if (policy == CLI::MultiOptionPolicy::Throw && !is_list) {
      throw InvalidRequest("{} is given twice; give it once", name);
    }
    if (policy != CLI::MultiOptionPolicy::TakeLast) return;
    checked_.notices.push_back(fmt::format("{} is given {} times; the last one, {}, counts", name,
                                           counts_[&option], excerpt(quoted(value))));
  }

  size_t count(const std::string& name) const {
    const auto found = counts_.find(command_->get_option_no_throw(name));
    return found == counts_.end() ? 0 : found->second;
  }

  void take_short(const std::string& word) {
    const std::string long_name = "-" + word.substr(0, word.find('='));
    const std::string letter = word.substr(0, 2);
    const CLI::Option* option = command_->get_option_no_throw(letter);
    if (word.size() > 2 && find_option(long_name)) {
      throw InvalidRequest("{}: long options have two dashes: -{}", excerpt(word), excerpt(word));
    }
    if (!option) refuse_option(word, word.size() == 2 ? word : long_name);
    if (word == "-h" && at_ + 1 < arguments_.size() && is_number(arguments_[at_ + 1])) {
      throw InvalidRequest("-h shows the help; the height is -H {}", arguments_[at_ + 1]);
    }
    if (is_switch(*option)) {
      if (word.size() > 2) refuse_option(word, long_name);
      return take(*option, letter, nullptr);
    }
    if (word.size() == 2) return take(*option, letter, nullptr);
    const std::string value = word.substr(word[2] == '=' ? 3 : 2);
    take(*option, letter, &value);
  }

  [[noreturn]] void refuse_option(const std::string& word, const std::string& name) const {
    const bool has_prompt = command_->get_option_no_throw("PROMPT") != nullptr;
    if (has_prompt && word.find(' ') != std::string::npos) {
      throw InvalidRequest(
          "\"{}\" is not an option; a prompt that begins with - comes behind --: {}", excerpt(word),
          path_of(*command_) + " -- " + quoted(excerpt(word)));
    }
    const bool has_request = command_->get_option_no_throw("--sampler") != nullptr;
    const std::string why = has_request ? explain_foreign_option(name) : "";
    if (!why.empty()) throw InvalidRequest("{}: {}", excerpt(name), why);
    throw InvalidRequest("{} is not an option of {}{} (--help lists all)", excerpt(name),
                         path_of(*command_), did_you_mean(name, names_of_options(*command_)));
  }

  /// A prompt is one word of the shell; several are one without its quotation marks.
  void check_prompt() const {
    const CLI::Option* prompt = command_->get_option_no_throw("PROMPT");
    if (!prompt) return;
    const bool is_given = counts_.count(prompt) > 0;
    const size_t num_prompts = positionals_.size() + (is_given ? 1 : 0);
    if (num_prompts == 0 && prompt->get_required()) {
      throw InvalidRequest("{}: the prompt is missing; expected {} PROMPT, in quotation marks",
                           path_of(*command_), path_of(*command_));
    }
    if (num_prompts < 2) return;
    const auto has_blank = [&](size_t i) { return arguments_[i].find(' ') != std::string::npos; };
    if (is_given || std::any_of(positionals_.begin(), positionals_.end(), has_blank)) {
      throw InvalidRequest(
          "{} takes one prompt and \"{}\" is one more; put all of it in one pair "
          "of quotation marks",
          path_of(*command_), excerpt(arguments_[positionals_.back()]));
    }
    throw InvalidRequest("the prompt needs quotation marks: {}", command_with_quotes());
  }

  std::string command_with_quotes() const {
    Words prompt, words;
    for (const size_t i : positionals_) prompt.push_back(arguments_[i]);
    for (size_t i = num_commands_; i < arguments_.size(); ++i) {
      const bool is_in_prompt =
          std::find(positionals_.begin(), positionals_.end(), i) != positionals_.end();
      if (arguments_[i] == "--") continue;
      if (i == positionals_.front())
        words.push_back(quoted(fmt::format("{}", fmt::join(prompt, " "))));
      if (!is_in_prompt) words.push_back(quoted(arguments_[i]));
    }
    return fmt::format("{} {}", path_of(*command_), fmt::join(words, " "));
  }

  CLI::App* command_;
  const Words& arguments_;
  CheckedArguments checked_;
  size_t at_ = 0;
  size_t num_commands_ = 0;          ///< words that name the command
  std::vector<size_t> positionals_;  ///< places in arguments_
  std::map<const CLI::Option*, size_t> counts_;
};

}  // namespace

CheckedArguments check_arguments(CLI::App& app, const std::vector<std::string>& arguments) {
  return ArgumentWalk(app, arguments).walk();
}

}  // namespace fourstep
