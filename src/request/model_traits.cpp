#include "request/model_traits.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text_tools.h"
#include "sampling/schedules.h"

namespace fourstep {

namespace {

/// Of one recipe and those below it. Recipes of other programs name parts without weights that
/// could be added up.
std::optional<double> weight_in(const std::string& recipe) {
  const nlohmann::json json = nlohmann::json::parse(recipe, nullptr, /*allow_exceptions=*/false);
  const bool is_ours = json.is_object() && json.contains("type") && json["type"] == "fourstep" &&
                       json.contains("loras") && json["loras"].is_array();
  if (!is_ours) return mentions_dmd2(recipe) ? std::optional(1.0) : std::nullopt;
  std::optional<double> sum;
  for (const nlohmann::json& lora : json["loras"]) {
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

double merged_dmd2(const ModelTraits& traits) {
  return traits.merged_dmd2.value_or(mentions_dmd2(traits.file_name) ? 1 : 0);
}

double dmd2_in_all(const ModelTraits& traits) {
  double sum = merged_dmd2(traits);
  for (const LoraTraits& lora : traits.loras)
    sum += lora.is_dmd2 ? largest_weight(lora.unet_weight) : 0;
  return sum;
}

ModelKind kind_of(const ModelTraits& traits) {
  constexpr double kLeast = 0.25;
  const bool is_in_use = std::any_of(
      traits.loras.begin(), traits.loras.end(),
      [](const LoraTraits& lora) { return lora.is_dmd2 && largest_weight(lora.unet_weight) > 0; });
  const double merged = merged_dmd2(traits);
  const bool is_merged = merged >= kLeast && dmd2_in_all(traits) > merged / 2;
  return is_in_use || is_merged ? ModelKind::kDistilled : ModelKind::kPlain;
}

int64_t distilled_steps(const ModelTraits& traits) {
  const bool is_one_step =
      mentions_dmd2(traits.file_name) && traits.file_name.find("1step") != std::string::npos;
  return is_one_step ? 1 : 4;
}

std::vector<double> trained_sigmas(const ModelTraits& traits, const NoiseSchedule& schedule) {
  auto sigmas = dmd2_sigmas(schedule, static_cast<int>(distilled_steps(traits)));
  sigmas.pop_back();  // the clean end
  return sigmas;
}

}  // namespace fourstep
