#include "text/wildcards.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/noise.h"
#include "base/text_tools.h"
#include "text/prompt_scan.h"

namespace fourstep {
namespace {

constexpr int kDeepestChoice = 32;
constexpr uint32_t kMostChoices = 10'000;
constexpr size_t kLongest = 64 << 10;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-_/.").find(c) != std::string_view::npos ||
         static_cast<unsigned char>(c) >= 0x80;
}

/// The name of "__name__" at the start of `text`; empty when there is none.
std::string_view name_at(std::string_view text) {
  if (!text.starts_with("__")) return {};
  size_t end = 2;
  while (end < text.size() && is_name_character(text[end]) && !text.substr(end).starts_with("__")) {
    ++end;
  }
  const bool is_closed = end > 2 && text.substr(end).starts_with("__");
  return is_closed ? text.substr(2, end - 2) : std::string_view();
}

/// Where each brace closes; npos: nowhere, or no opening brace.
std::vector<size_t> pair_braces(std::string_view text) {
  std::vector<size_t> partner(text.size(), std::string_view::npos), open;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '{') {
      open.push_back(i);
    } else if (text[i] == '}' && !open.empty()) {
      partner[open.back()] = i;
      open.pop_back();
    }
  }
  return partner;
}

/// The parts between the bars that stand in no inner braces. text: without its own braces.
std::vector<std::string_view> split_options(std::string_view text) {
  std::vector<std::string_view> options;
  size_t begin = 0, depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '{') {
      ++depth;
    } else if (text[i] == '}' && depth > 0) {
      --depth;
    } else if (text[i] == '|' && depth == 0) {
      options.push_back(text.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  options.push_back(text.substr(begin));
  return options;
}

struct WeightedOption {
  double weight;
  std::string_view text;
};

/// "3::text", or the text with the weight 1. Weights below 0 count as 0.
WeightedOption weighted(std::string_view option) {
  const size_t colons = option.find("::");
  const auto weight =
      colons == std::string_view::npos ? std::nullopt : finite_number(option.substr(0, colons));
  if (!weight) return {1, option};
  return {std::max(*weight, 0.0), option.substr(colons + 2)};
}

class Expansion {
 public:
  Expansion(const WildcardSeed& seed, const WildcardOptions& options)
      : seed_(seed), options_(options) {}

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
      } else if (partner[i] != std::string_view::npos) {
        append_braces(text.substr(i + 1, partner[i] - i - 1), depth);
        i = partner[i];
      } else if (const std::string_view name = options_ ? name_at(text.substr(i)) : "";
                 !name.empty()) {
        append_named(std::string(name), depth);
        i += name.size() + 3;
      } else {
        add(text.substr(i, 1));
      }
    }
  }

  std::string result() && { return std::move(text_); }

 private:
  void append_braces(std::string_view inside, int depth) {
    const std::vector<std::string_view> options = split_options(inside);
    if (options.size() > 1) return append(choose(options), depth + 1);
    add("{");
    append(inside, depth + 1);
    add("}");
  }

  void append_named(const std::string& name, int depth) {
    const std::vector<std::string> texts = options_(name);
    append(choose({texts.begin(), texts.end()}), depth + 1);
  }

  std::string_view choose(const std::vector<std::string_view>& texts) {
    if (++num_choices_ > kMostChoices) {
      throw InvalidRequest("wildcards: the prompt leads to more than {} choices", kMostChoices);
    }
    std::vector<WeightedOption> options;
    double total = 0;
    for (const std::string_view text : texts) total += options.emplace_back(weighted(text)).weight;
    const uint32_t word = philox_words(seed_.seed, seed_.stream, num_choices_ - 1)[0];
    double rest = std::ldexp(static_cast<double>(word), -32) * total;  // in [0,total)
    for (const WeightedOption& option : options) {
      if (rest < option.weight) return option.text;
      rest -= option.weight;
    }
    return options.empty() ? "" : options.back().text;
  }

  void add(std::string_view text) {
    text_ += text;
    if (text_.size() > kLongest) {
      throw InvalidRequest("wildcards: the prompt grows beyond {} bytes", kLongest);
    }
  }

  const WildcardSeed seed_;
  const WildcardOptions& options_;
  uint32_t num_choices_ = 0;
  std::string text_;
};

}  // namespace

bool has_wildcards(std::string_view prompt, bool with_names) {
  const std::vector<size_t> partner = pair_braces(prompt);
  for (size_t i = 0; i < prompt.size(); ++i) {
    if (with_names && !name_at(prompt.substr(i)).empty()) return true;
    if (partner[i] == std::string_view::npos) continue;
    if (split_options(prompt.substr(i + 1, partner[i] - i - 1)).size() > 1) return true;
  }
  return false;
}

std::string expand_wildcards(std::string_view prompt, const WildcardSeed& seed,
                             const WildcardOptions& options) {
  Expansion expansion(seed, options);
  expansion.append(prompt, 0);
  return std::move(expansion).result();
}

}  // namespace fourstep
