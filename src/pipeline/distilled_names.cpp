#include "pipeline/distilled_names.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text_tools.h"

namespace fourstep {

namespace {

using Json = nlohmann::json;

/// Of one recipe and those below it. Recipes of other programs name parts without weights that could be added up.
std::optional<double> weight_in(const std::string& recipe) {
  const Json json = Json::parse(recipe, nullptr, /*allow_exceptions=*/false);
  const bool is_ours = json.is_object() && json.contains("type") && json["type"] == "fourstep" &&
                       json.contains("loras") && json["loras"].is_array();
  if (!is_ours) return mentions_dmd2(recipe) ? std::optional(1.0) : std::nullopt;
  std::optional<double> sum;
  for (const Json& lora : json["loras"]) {
    if (!lora.is_object() || !mentions_dmd2(lora.dump())) continue;
    const auto weight = lora.find("weight");
    const bool is_number = weight != lora.end() && weight->is_number();
    sum = sum.value_or(0) + (is_number ? weight->get<double>() : 1);
  }
  const auto base = json.find("base_recipe");
  if (base == json.end() || !base->is_string()) return sum;
  const std::optional<double> below = weight_in(base->get<std::string>());
  return sum || below ? std::optional(sum.value_or(0) + below.value_or(0)) : std::nullopt;
}

}  // namespace

bool mentions_dmd2(const std::string& text) {
  return lower_ascii(text).find("dmd2") != std::string::npos;
}

bool mentions_other_distillation(const std::string& file_name) {
  const std::string name = lower_ascii(file_name);
  constexpr const char* kWords[] = {"lightning", "hyper", "lcm", "turbo", "tcd", "pcm", "flash"};
  return std::any_of(std::begin(kWords), std::end(kWords),
                     [&](const char* word) { return name.find(word) != std::string::npos; });
}

bool looks_like_dmd2(const LoraSigns& lora) {
  if (mentions_dmd2(lora.file_name)) return true;
  for (const char* key : {"modelspec.title", "ss_output_name", "fourstep.made_from"}) {
    if (mentions_dmd2(entry_of(lora.metadata, key))) return true;
  }
  return lora.num_unet_modules == 788 && lora.num_text_modules == 0 && lora.rank == 64 &&
         std::abs(lora.factor - 0.125) < 1e-6;
}

std::optional<double> merged_dmd2_weight(const Metadata& metadata) {
  if (const auto weight = weight_in(entry_of(metadata, "sd_merge_recipe"))) return weight;
  const bool is_named = std::any_of(metadata.begin(), metadata.end(),
                                    [](const auto& entry) { return mentions_dmd2(entry.second); });
  return is_named ? std::optional(1.0) : std::nullopt;
}

}  // namespace fourstep
