#pragma once
// The few facts of a PEFT adapter's JSON configuration that change the numbers: alpha, rank and
// their per-module patterns. It stands in `adapter_config.json` beside the weights, or (diffusers
// since 2025) in the safetensors metadata entry `lora_adapter_metadata`, one set per component
// prefix.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fourstep {

struct PeftConfig {
  std::optional<double>
      alpha;  ///< `lora_alpha` (LoHa, LoKr: `alpha`); absent: alpha equals the rank
  std::optional<double> rank;  ///< `r`
  bool use_rslora = false;     ///< divide by the root of the rank
  /// In the order of the file, because the first pattern that fits a module counts.
  std::vector<std::pair<std::string, double>> alpha_patterns, rank_patterns;
};

/// The factor of B A: alpha / r, or alpha / sqrt(r) with rank-stabilised LoRA.
/// module: dotted name without component prefix; rank: as the tensors have it, 0 where they cannot
/// tell (a LoKr without decomposition), then the configured one counts.
/// Source: PEFT's LoraLayer.update_layer and get_pattern_key (a pattern is a regular expression for
/// the end of the name, beginning at a dot).
double peft_scaling(const PeftConfig& config, const std::string& module, int64_t rank);

/// `adapter_config.json`. what: named in messages. Throws Error when the text is not such a JSON
/// object.
PeftConfig parse_peft_config(const std::string& json, const std::string& what);

/// The metadata entry `lora_adapter_metadata`: configurations by prefix ("unet", "text_encoder",
/// ...).
/// Throws Error when the text is not such a JSON object.
std::map<std::string, PeftConfig> parse_adapter_metadata(const std::string& json,
                                                         const std::string& what);

/// Reads `adapter_config.json` in `folder`; nothing when there is none. Throws Error when it is
/// broken.
std::optional<PeftConfig> read_peft_config(const std::filesystem::path& folder);

}  // namespace fourstep
