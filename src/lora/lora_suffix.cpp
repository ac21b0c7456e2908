#include "lora/lora_suffix.h"

#include <utility>

namespace fourstep {
namespace {

using enum LoraRole;

struct Suffix {
  std::string_view text;
  LoraRole role;
};

constexpr Suffix kSuffixes[] = {
    {".lora_down.weight", kDown},
    {".lora.down.weight", kDown},
    {"_lora.down.weight", kDown},
    {".lora_linear_layer.down.weight", kDown},
    {".lora_A.weight", kDown},
    {".lora_A", kDown},
    {".lora_up.weight", kUp},
    {".lora.up.weight", kUp},
    {"_lora.up.weight", kUp},
    {".lora_linear_layer.up.weight", kUp},
    {".lora_B.weight", kUp},
    {".lora_B", kUp},
    {".lora_mid.weight", kMid},
    {".alpha", kAlpha},
    {".scale", kScale},
    {".dora_scale", kDora},
    {".lora_magnitude_vector", kMagnitude},
    {".hada_w1_a", kHadaW1A},
    {".hada_w1_b", kHadaW1B},
    {".hada_t1", kHadaT1},
    {".hada_w2_a", kHadaW2A},
    {".hada_w2_b", kHadaW2B},
    {".hada_t2", kHadaT2},
    {".lokr_w1", kLokrW1},
    {".lokr_w1_a", kLokrW1A},
    {".lokr_w1_b", kLokrW1B},
    {".lokr_w2", kLokrW2},
    {".lokr_w2_a", kLokrW2A},
    {".lokr_w2_b", kLokrW2B},
    {".lokr_t2", kLokrT2},
    {".a1.weight", kGloraA1},
    {".a2.weight", kGloraA2},
    {".b1.weight", kGloraB1},
    {".b2.weight", kGloraB2},
    {".bm.weight", kGloraMid},
    {".oft_blocks", kOftBlocks},
    {".rescale", kRescale},
    {".on_input", kOnInput},
    {".weight", kWeight},
    {".bias", kWholeBias},
    {".set_weight", kSetWeight},
    {".diff", kDiff},
    {".w_norm", kDiff},
    {".diff_b", kBias},
    {".b_norm", kBias},
    {".lora_B.bias", kUpBias},
    {".lora_up.bias", kUpBias},
    {".lora.up.bias", kUpBias},
    {"_lora.up.bias", kUpBias},
    {".lora_linear_layer.up.bias", kUpBias},
};

/// PEFT's state dicts carry the adapter's name behind the factor: "x.lora_A.default.weight".
std::string without_adapter_name(const std::string& key) {
  for (const std::string factor : {".lora_A", ".lora_B", ".lora_magnitude_vector"}) {
    const size_t at = key.rfind(factor + ".");
    if (at == std::string::npos) continue;
    std::string_view rest = std::string_view(key).substr(at + factor.size());
    const bool is_bias = rest.ends_with(".bias");
    if (rest.ends_with(".weight")) rest.remove_suffix(7);
    if (is_bias) rest.remove_suffix(5);
    const bool is_name = rest.empty() || rest.find('.', 1) == std::string_view::npos;
    if (is_name) return key.substr(0, at + factor.size()) + (is_bias ? ".bias" : "");
  }
  return key;
}

/// Where PEFT keeps what it saves whole: "x.base_layer.bias", "x.modules_to_save.weight" and
/// "x.modules_to_save.default.weight" are of the module x.
std::string without_wrapper(const std::string& module) {
  constexpr std::string_view kBase = ".base_layer", kSaved = ".modules_to_save";
  if (module.ends_with(kBase)) return module.substr(0, module.size() - kBase.size());
  const size_t at = module.rfind(kSaved);
  if (at == std::string::npos) return module;
  const std::string_view name = std::string_view(module).substr(at + kSaved.size());
  const bool is_wrapper =
      name.empty() || (name[0] == '.' && name.find('.', 1) == std::string_view::npos);
  return is_wrapper ? module.substr(0, at) : module;
}

const Suffix* find_suffix(const std::string& key) {
  const Suffix* best = nullptr;
  for (const Suffix& suffix : kSuffixes) {
    if (key.ends_with(suffix.text) && (!best || suffix.text.size() > best->text.size())) {
      best = &suffix;
    }
  }
  return best;
}

}  // namespace

std::optional<LoraKey> split_lora_key(const std::string& key) {
  const std::string plain = without_adapter_name(key);
  const Suffix* suffix = find_suffix(plain);
  if (!suffix) return std::nullopt;
  std::string module = plain.substr(0, plain.size() - suffix->text.size());
  const bool is_whole = suffix->role == kWeight || suffix->role == kWholeBias;
  if (is_whole) module = without_wrapper(module);
  return LoraKey{std::move(module), suffix->text, suffix->role};
}

}  // namespace fourstep
