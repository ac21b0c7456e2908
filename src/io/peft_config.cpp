#include "io/peft_config.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "base/error.h"

namespace fourstep {
namespace {

using Json = nlohmann::ordered_json;
using Patterns = std::vector<std::pair<std::string, double>>;

Json parse_object(const std::string& text, const std::string& what) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw Error("{}: expected a JSON object of a PEFT adapter", what);
  return json;
}

double positive_number(const Json& value, const std::string& field, const std::string& what) {
  const double number = value.is_number() ? value.get<double>() : NAN;
  if (!(number >= 0 && std::isfinite(number))) {
    throw Error("{}: \"{}\" is {}, expected a number of at least 0", what, field, value.dump());
  }
  return number;
}

Patterns read_patterns(const Json& value, const std::string& field, const std::string& what) {
  Patterns patterns;
  if (value.is_null()) return patterns;
  if (!value.is_object()) throw Error("{}: \"{}\" is no JSON object", what, field);
  for (const auto& [pattern, number] : value.items()) {
    patterns.emplace_back(pattern, positive_number(number, field, what));
  }
  return patterns;
}

void read_field(PeftConfig& config, const std::string& field, const Json& value,
                const std::string& what) {
  if (field == "alpha_pattern") config.alpha_patterns = read_patterns(value, field, what);
  if (field == "rank_pattern") config.rank_patterns = read_patterns(value, field, what);
  if (value.is_null()) return;
  if (field == "lora_alpha" || field == "alpha") config.alpha = positive_number(value, field, what);
  if (field == "r") config.rank = positive_number(value, field, what);
  if (field == "use_rslora") config.use_rslora = value.is_boolean() && value.get<bool>();
}

/// Nearly all patterns are plain names, which need no regular expression; the polynomial matcher
/// keeps a hostile expression from running for ever.
bool fits(const std::string& pattern, const std::string& module) {
  if (pattern.find_first_of("*+?[](){}|\\$^") == std::string::npos) {
    return module == pattern || module.ends_with("." + pattern);
  }
  if (pattern.front() == '^' && pattern.find_first_of("*+?[](){}|\\$", 1) == std::string::npos) {
    return module == pattern.substr(1);
  }
  auto flags = std::regex::ECMAScript;
#ifdef __GLIBCXX__
  flags |= std::regex_constants::__polynomial;
#endif
  try {
    return std::regex_match(module, std::regex("(?:.*\\.)?(?:" + pattern + ")", flags));
  } catch (const std::regex_error&) {
    throw Error("LoRA configuration: pattern \"{}\" is no regular expression", pattern);
  }
}

std::optional<double> find_pattern(const Patterns& patterns, const std::string& module) {
  for (const auto& [pattern, number] : patterns) {
    if (fits(pattern, module)) return number;
  }
  return std::nullopt;
}

}  // namespace

double peft_scaling(const PeftConfig& config, const std::string& module, int64_t rank) {
  double r = static_cast<double>(rank);
  if (rank == 0) r = find_pattern(config.rank_patterns, module).value_or(config.rank.value_or(1));
  if (r == 0) throw Error("LoRA configuration: rank 0 for module \"{}\"", module);
  const std::optional<double> pattern = find_pattern(config.alpha_patterns, module);
  const double alpha = pattern ? *pattern : config.alpha.value_or(r);
  return config.use_rslora ? alpha / std::sqrt(r) : alpha / r;
}

PeftConfig parse_peft_config(const std::string& json, const std::string& what) {
  PeftConfig config;
  const Json object = parse_object(json, what);  // items() does not keep a temporary alive
  for (const auto& [field, value] : object.items()) {
    read_field(config, field, value, what);
  }
  return config;
}

std::map<std::string, PeftConfig> parse_adapter_metadata(const std::string& json,
                                                         const std::string& what) {
  std::map<std::string, PeftConfig> configs;
  const Json object = parse_object(json, what);
  for (const auto& [name, value] : object.items()) {
    const size_t dot = name.rfind('.');
    const std::string prefix = dot == std::string::npos ? "" : name.substr(0, dot);
    read_field(configs[prefix], name.substr(dot == std::string::npos ? 0 : dot + 1), value, what);
  }
  return configs;
}

std::optional<PeftConfig> read_peft_config(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "adapter_config.json";
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::ostringstream text;
  text << in.rdbuf();
  return parse_peft_config(text.str(), path.string());
}

}  // namespace fourstep
