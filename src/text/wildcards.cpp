#include "text/wildcards.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/noise.h"
#include "text/wildcard_syntax.h"

namespace fourstep {
namespace {

constexpr int kDeepestChoice = 32;
constexpr uint32_t kMostChoices = 10'000, kMostUses = 10'000;
constexpr size_t kLongest = 64 << 10;

[[noreturn]] void refuse_wrapper(std::string_view inside) {
  throw InvalidRequest(
      "wildcards: \"%{{{}}}\": wrapping, %{{...$$...}} of Dynamic Prompts, is not supported; write "
      "the "
      "words on both sides of the inner part",
      inside);
}

/// What follows "$" or "%" with braces, without these; nothing when no braces close there.
std::optional<std::string_view> braces_behind(std::string_view text, size_t i,
                                              const std::vector<size_t>& partner) {
  if (i + 1 >= text.size() || partner[i + 1] == std::string_view::npos) return std::nullopt;
  return text.substr(i + 2, partner[i + 1] - i - 2);
}

class Expansion {
 public:
  Expansion(const WildcardSeed& seed, const WildcardOptions& options)
      : seed_(seed), options_(options) {}

  /// A whole prompt or a line of a list: its variables are set before anything is chosen, and
  /// forgotten behind it.
  void append_prompt(std::string_view text, int depth) {
    const Variables earlier = variables_;
    const std::vector<size_t> partner = pair_braces(text);
    std::string rest;
    for (size_t i = 0; i < text.size(); ++i) {
      const auto variable = variable_at(text, i, partner);
      if (variable && variable->value) {
        const bool is_kept =
            variable->keeps_earlier && earlier.count(std::string(variable->name)) != 0;
        if (!is_kept) set_variable(*variable, depth);
        i = partner[i + 1];
      } else {
        const bool is_group = partner[i] != std::string_view::npos;
        const size_t end = text[i] == '\\' ? std::min(i + 1, text.size() - 1)
                           : is_group      ? partner[i]
                                           : i;
        rest += text.substr(i, end - i + 1);
        i = end;
      }
    }
    append(rest, depth);
    variables_ = earlier;
  }

  std::string result() && { return std::move(text_); }

 private:
  struct Value {
    std::string text;
    bool is_chosen = false;  ///< nothing in it is to be chosen any more
  };
  using Variables = std::map<std::string, Value>;

  static std::optional<VariableSyntax> variable_at(std::string_view text, size_t i,
                                                   const std::vector<size_t>& partner) {
    if (text[i] != '$') return std::nullopt;
    const auto inside = braces_behind(text, i, partner);
    return inside ? parse_variable(*inside) : std::nullopt;
  }

  void append(std::string_view text, int depth) {
    if (depth > kDeepestChoice) {
      throw InvalidRequest(
          "wildcards: choices are nested deeper than {}; does a file of options name itself?",
          kDeepestChoice);
    }
    const std::vector<size_t> partner = pair_braces(text);
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\\') {
        add(text.substr(i, 2));
        ++i;
      } else if (const auto variable = variable_at(text, i, partner)) {
        append_variable(*variable, depth);
        i = partner[i + 1];
      } else if (partner[i] != std::string_view::npos) {
        append_braces(text.substr(i + 1, partner[i] - i - 1), depth);
        i = partner[i];
      } else if (const auto name = options_ ? parse_name(text.substr(i)) : std::nullopt) {
        append_named(name->name, depth);
        i += name->length - 1;
      } else {
        check_no_wrapper(text, i, partner);
        add(text.substr(i, 1));
      }
    }
  }

  static void check_no_wrapper(std::string_view text, size_t i,
                               const std::vector<size_t>& partner) {
    if (text[i] != '%') return;
    const auto inside = braces_behind(text, i, partner);
    if (inside && inside->find("$$") != std::string_view::npos) refuse_wrapper(*inside);
  }

  /// `text` by itself, as the text that is chosen.
  std::string expanded(std::string_view text, int depth) {
    std::string outer = std::exchange(text_, {});
    append(text, depth + 1);
    return std::exchange(text_, std::move(outer));
  }

  void set_variable(const VariableSyntax& variable, int depth) {
    const std::string name(variable.name);
    if (split_options(*variable.value).size() > 1) {
      throw InvalidRequest(
          "wildcards: ${{{}=...}} has a bar outside of braces; write ${{{}={{{}}}}}", name, name,
          *variable.value);
    }
    variables_[name] = variable.is_immediate ? Value{expanded(*variable.value, depth), true}
                                             : Value{std::string(*variable.value), false};
  }

  void append_variable(const VariableSyntax& variable, int depth) {
    const std::string name(variable.name);
    if (variable.value) {
      throw InvalidRequest(
          "wildcards: ${{{}=...}} stands inside of a choice; set variables outside of braces",
          name);
    }
    if (++num_uses_ > kMostUses) {
      throw InvalidRequest("wildcards: the prompt leads to more than {} uses of variables",
                           kMostUses);
    }
    const auto known = variables_.find(name);
    if (known == variables_.end()) {
      if (!variable.fallback) {
        throw InvalidRequest(
            "wildcards: ${{{}}} has no value; write ${{{}=...}} before it, or ${{{}:...}}", name,
            name, name);
      }
      return append(*variable.fallback, depth + 1);
    }
    const Value value = known->second;
    value.is_chosen ? add(value.text) : append(value.text, depth + 1);
  }

  void append_braces(std::string_view inside, int depth) {
    const auto choice = parse_choice(inside);
    if (!choice) {
      add("{");
      append(inside, depth + 1);
      return add("}");
    }
    if (!choice->has_range) return append(choose(choice->options), depth + 1);
    const auto name = options_ && choice->options.size() == 1 ? parse_name(choice->options.front())
                                                              : std::nullopt;
    const bool is_list = name && name->length == choice->options.front().size();
    if (!is_list) return append_several(*choice, choice->options, depth);
    std::vector<std::string> texts = options_(plain_name(name->name, depth));
    std::sort(texts.begin(), texts.end());
    texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
    append_several(*choice, {texts.begin(), texts.end()}, depth);
  }

  /// Different options in the order in which they are drawn. A single one is always taken.
  void append_several(const ChoiceSyntax& choice, std::vector<std::string_view> texts, int depth) {
    const size_t most = std::min(choice.most, texts.size()), least = std::min(choice.least, most);
    size_t count = least;
    if (texts.size() == 1) {
      count = 1;
    } else if (least < most) {
      count += static_cast<size_t>(share_of(static_cast<double>(most - least + 1)));
    }
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) add(choice.separator);
      const size_t taken = choose_index(texts);
      append_prompt(weighted_option(texts[taken]).text, depth + 1);
      texts.erase(texts.begin() + static_cast<std::ptrdiff_t>(taken));
    }
  }

  /// A name whose braces and variables have been replaced.
  std::string plain_name(std::string_view name, int depth) {
    const bool is_plain = name.find_first_of("{$") == std::string_view::npos;
    return is_plain ? std::string(name) : expanded(name, depth);
  }

  void append_named(std::string_view name, int depth) {
    const std::vector<std::string> texts = options_(plain_name(name, depth));
    append_prompt(choose({texts.begin(), texts.end()}), depth + 1);
  }

  /// The next random number, in [0,whole).
  double share_of(double whole) {
    if (++num_choices_ > kMostChoices) {
      throw InvalidRequest("wildcards: the prompt leads to more than {} choices", kMostChoices);
    }
    const uint32_t word = philox_words(seed_.seed, seed_.stream, num_choices_ - 1)[0];
    return std::ldexp(static_cast<double>(word), -32) * whole;
  }

  /// texts: at least one.
  size_t choose_index(const std::vector<std::string_view>& texts) {
    std::vector<double> weights;
    double total = 0;
    for (const std::string_view text : texts) {
      total += weights.emplace_back(weighted_option(text).weight);
    }
    double rest = share_of(total);
    for (size_t i = 0; i < weights.size(); ++i) {
      if (rest < weights[i]) return i;
      rest -= weights[i];
    }
    return weights.size() - 1;
  }

  std::string_view choose(const std::vector<std::string_view>& texts) {
    return weighted_option(texts[choose_index(texts)]).text;
  }

  void add(std::string_view text) {
    text_ += text;
    if (text_.size() > kLongest) {
      throw InvalidRequest("wildcards: the prompt grows beyond {} bytes", kLongest);
    }
  }

  const WildcardSeed seed_;
  const WildcardOptions& options_;
  uint32_t num_choices_ = 0, num_uses_ = 0;
  Variables variables_;
  std::string text_;
};

}  // namespace

std::string first_wildcard_name(std::string_view prompt) {
  for (size_t i = 0; i < prompt.size(); ++i) {
    if (const auto name = parse_name(prompt.substr(i))) return std::string(name->name);
  }
  return "";
}

bool has_wildcards(std::string_view prompt, bool with_names) {
  if (with_names && !first_wildcard_name(prompt).empty()) return true;
  const std::vector<size_t> partner = pair_braces(prompt);
  for (size_t i = 0; i < prompt.size(); ++i) {
    const auto behind = braces_behind(prompt, i, partner);
    if (behind && prompt[i] == '$' && parse_variable(*behind)) return true;
    if (behind && prompt[i] == '%' && behind->find("$$") != std::string_view::npos) return true;
    if (partner[i] == std::string_view::npos) continue;
    if (parse_choice(prompt.substr(i + 1, partner[i] - i - 1))) return true;
  }
  return false;
}

std::string expand_wildcards(std::string_view prompt, const WildcardSeed& seed,
                             const WildcardOptions& options) {
  Expansion expansion(seed, options);
  expansion.append_prompt(prompt, 0);
  return std::move(expansion).result();
}

}  // namespace fourstep
