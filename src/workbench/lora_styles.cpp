#include "workbench/lora_styles.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "base/error.h"
#include "io/tensor_file.h"
#include "lora/lora_keys.h"
#include "workbench/lora_fit.h"

namespace fourstep {
namespace {

using enum LoraRole;

constexpr std::array kStyles = {LoraStyle::kKohya, LoraStyle::kKohyaLdm, LoraStyle::kPeft,
                                LoraStyle::kDiffusers};

constexpr std::pair<LoraRole, const char*> kKohyaSuffixes[] = {{kDown, ".lora_down.weight"},
                                                               {kUp, ".lora_up.weight"},
                                                               {kMid, ".lora_mid.weight"},
                                                               {kHadaW1A, ".hada_w1_a"},
                                                               {kHadaW1B, ".hada_w1_b"},
                                                               {kHadaT1, ".hada_t1"},
                                                               {kHadaW2A, ".hada_w2_a"},
                                                               {kHadaW2B, ".hada_w2_b"},
                                                               {kHadaT2, ".hada_t2"},
                                                               {kLokrW1, ".lokr_w1"},
                                                               {kLokrW1A, ".lokr_w1_a"},
                                                               {kLokrW1B, ".lokr_w1_b"},
                                                               {kLokrW2, ".lokr_w2"},
                                                               {kLokrW2A, ".lokr_w2_a"},
                                                               {kLokrW2B, ".lokr_w2_b"},
                                                               {kLokrT2, ".lokr_t2"},
                                                               {kDiff, ".diff"},
                                                               {kBias, ".diff_b"},
                                                               {kGloraA1, ".a1.weight"},
                                                               {kGloraA2, ".a2.weight"},
                                                               {kGloraB1, ".b1.weight"},
                                                               {kGloraB2, ".b2.weight"},
                                                               {kGloraMid, ".bm.weight"},
                                                               {kOftBlocks, ".oft_blocks"},
                                                               {kRescale, ".rescale"},
                                                               {kWeight, ".weight"},
                                                               {kOnInput, ".on_input"},
                                                               {kSetWeight, ".set_weight"},
                                                               {kDora, ".dora_scale"},
                                                               {kAlpha, ".alpha"},
                                                               {kScale, ".scale"}};

/// A part of a module's name or key, and the style that it belongs to.
struct StyleMark {
  std::string_view text;
  const char* meaning;
};

constexpr StyleMark kNameMarks[] = {
    {"lora_unet_input_blocks", "kohya (ldm names)"},
    {"lora_unet_middle_block_", "kohya (ldm names)"},
    {"lora_unet_output_blocks", "kohya (ldm names)"},
    {"oft_unet_", "kohya (OFT)"},
    {"lora_unet_", "kohya (diffusers names)"},
    {"lora_te", "kohya (text encoder)"},
    {"lycoris_", "LyCORIS wrapper"},
    {"base_model.model.", "PEFT folder"},
    {".processor.", "diffusers (attention processors)"},
    {"diffusion_model.", "ComfyUI"},
    {"text_encoders.", "ComfyUI"},
};

constexpr StyleMark kKeyMarks[] = {
    {".lora_A", "PEFT"}, {".lora.down.weight", "diffusers"}, {".lora_linear_layer.", "diffusers"}};

template <size_t N>
void add_marks(const StyleMark (&marks)[N], const std::vector<std::string>& names,
               std::set<std::string>& found) {
  for (const std::string& name : names) {
    for (const StyleMark& mark : marks) {
      if (name.find(mark.text) == std::string::npos) continue;
      found.insert(mark.meaning);
      break;  // the first mark is the most telling one
    }
  }
}

/// sd-scripts: te for a family with one text encoder, te1 and te2 for two.
std::string kohya_prefix(Component component, const LoraLayout& layout) {
  if (component == Component::kUnet) return "lora_unet_";
  if (component == Component::kTextEncoder2) return "lora_te2_";
  return layout.shapes.count(Component::kTextEncoder2) != 0 ? "lora_te1_" : "lora_te_";
}

std::string ldm_module_key(const ParameterId& id, const LoraLayout& layout) {
  const std::string ldm = ldm_module(layout, id.name);
  if (ldm.empty()) {
    throw Error("lora: {} has no name in single-file checkpoints of {}; use the style kohya",
                text_of(id), layout.name);
  }
  return "lora_unet_" + with_underscores(ldm);
}

/// PEFT and diffusers have names for plain factors, their bias and DoRA's magnitudes, PEFT for
/// whole weights, too.
std::optional<std::string> factor_suffix(LoraStyle style, Component component, LoraRole role) {
  if (role == kMagnitude) return ".lora_magnitude_vector";
  const bool is_peft = style == LoraStyle::kPeft;
  if (is_peft && role == kWeight) return ".weight";
  if (is_peft && role == kWholeBias) return ".bias";
  if (role != kDown && role != kUp && role != kUpBias) return std::nullopt;
  const char* part = role == kUpBias ? "bias" : "weight";
  if (is_peft) return fmt::format(".lora_{}.{}", role == kDown ? "A" : "B", part);
  const char* layer = component == Component::kUnet ? ".lora" : ".lora_linear_layer";
  return fmt::format("{}.{}.{}", layer, role == kDown ? "down" : "up", part);
}

struct RolesOf {
  std::map<LoraRole, Tensor> operator()(const LowRank& m) const {
    return {{kDown, m.down}, {kUp, m.up}, {kMid, m.mid}};
  }
  std::map<LoraRole, Tensor> operator()(const LoHa& m) const {
    return {{kHadaW1A, m.w1_a}, {kHadaW1B, m.w1_b}, {kHadaT1, m.t1},
            {kHadaW2A, m.w2_a}, {kHadaW2B, m.w2_b}, {kHadaT2, m.t2}};
  }
  std::map<LoraRole, Tensor> operator()(const LoKr& m) const {
    return {{kLokrW1, m.w1},    {kLokrW1A, m.w1_a}, {kLokrW1B, m.w1_b}, {kLokrW2, m.w2},
            {kLokrW2A, m.w2_a}, {kLokrW2B, m.w2_b}, {kLokrT2, m.t2}};
  }
  std::map<LoraRole, Tensor> operator()(const FullDiff& m) const { return {{kDiff, m.diff}}; }
  std::map<LoraRole, Tensor> operator()(const GLoRA& m) const {
    return {{kGloraA1, m.a1},
            {kGloraA2, m.a2},
            {kGloraB1, m.b.up},
            {kGloraB2, m.b.down},
            {kGloraMid, m.b.mid}};
  }
  std::map<LoraRole, Tensor> operator()(const OFT& m) const {
    return {{kOftBlocks, m.blocks}, {kRescale, m.rescale}};
  }
  std::map<LoraRole, Tensor> operator()(const IA3& m) const {
    return {{kWeight, m.weight}, {kOnInput, m.on_input}};
  }
  std::map<LoraRole, Tensor> operator()(const Replacement& m) const {
    return {{kSetWeight, m.value}};
  }
};

/// A difference with its factor in it, or a whole bias.
std::map<LoraRole, Tensor> bias_role(const LoraModule& module) {
  if (const auto* whole = std::get_if<Replacement>(&module.weight))
    return {{kWholeBias, whole->value}};
  const Tensor& diff = std::get<FullDiff>(module.weight).diff;
  if (factor_of(module) == 1) return {{kBias, diff}};
  return {{kBias, (aligned(diff).to(torch::kDouble) * factor_of(module)).to(diff.scalar_type())}};
}

}  // namespace

const char* to_string(LoraStyle style) {
  switch (style) {
    case LoraStyle::kKohya:
      return "kohya";
    case LoraStyle::kKohyaLdm:
      return "kohya-ldm";
    case LoraStyle::kPeft:
      return "peft";
    default:
      return "diffusers";
  }
}

LoraStyle style_from_text(const std::string& text) {
  for (const LoraStyle style : kStyles) {
    if (text == to_string(style)) return style;
  }
  throw InvalidRequest("--to {}: expected kohya, kohya-ldm, peft or diffusers", text);
}

bool has_alpha_tensors(LoraStyle style) {
  return style == LoraStyle::kKohya || style == LoraStyle::kKohyaLdm;
}

std::string describe_style(const std::vector<std::string>& module_names,
                           const std::vector<std::string>& keys) {
  std::set<std::string> found;
  add_marks(kNameMarks, module_names, found);
  if (found.size() > 1) found.erase("kohya (text encoder)");
  if (found.empty()) add_marks(kKeyMarks, keys, found);
  return found.empty() ? "bare module names" : fmt::format("{}", fmt::join(found, " + "));
}

std::string module_key(LoraStyle style, const ParameterId& id, const LoraLayout& layout) {
  const std::string module = module_of(id.name);
  if (!has_alpha_tensors(style)) return fmt::format("{}.{}", to_string(id.component), module);
  if (style == LoraStyle::kKohyaLdm && id.component == Component::kUnet)
    return ldm_module_key(id, layout);
  return kohya_prefix(id.component, layout) + with_underscores(module);
}

std::optional<std::string> role_suffix(LoraStyle style, Component component, LoraRole role) {
  if (!has_alpha_tensors(style)) return factor_suffix(style, component, role);
  for (const auto& [known, suffix] : kKohyaSuffixes) {
    if (known == role) return suffix;
  }
  return std::nullopt;
}

std::map<LoraRole, Tensor> roles_of(const LoraModule& module, bool is_bias) {
  if (is_bias) return bias_role(module);
  std::map<LoraRole, Tensor> roles = std::visit(RolesOf{}, module.weight);
  roles[kDora] = module.dora_scale;
  std::erase_if(roles, [](const auto& role) { return !role.second.defined(); });
  return roles;
}

Tensor scalar_tensor(double value, torch::ScalarType dtype) {
  for (const torch::ScalarType type : {dtype, torch::kFloat, torch::kDouble}) {
    const Tensor tensor = torch::scalar_tensor(value, torch::kDouble).to(type);
    if (tensor.to(torch::kDouble).item<double>() == value) return tensor;
  }
  return torch::scalar_tensor(value, torch::kDouble);
}

Tensor cast_checked(const Tensor& tensor, torch::ScalarType dtype, const std::string& key) {
  const Tensor plain = aligned(tensor);
  if (plain.scalar_type() == dtype) return plain;
  const Tensor cast = plain.to(dtype);
  const double largest = cast.to(torch::kFloat).abs().max().item<double>();
  if (std::isfinite(largest)) return cast;
  const FileDtype* name = find_file_dtype(dtype);
  throw Error("lora: {} holds values that {} cannot hold; write a wider type (--dtype fp32)", key,
              name ? name->name : "this type");
}

NamedTensors kohya_tensors(const std::map<ParameterId, LoraModule>& modules,
                           const LoraLayout& layout, torch::ScalarType dtype) {
  NamedTensors tensors;
  for (const auto& [id, module] : modules) {
    const std::string name = module_key(LoraStyle::kKohya, id, layout);
    const bool is_bias = id.name.ends_with(".bias");
    for (const auto& [role, tensor] : roles_of(module, is_bias)) {
      const auto suffix = role_suffix(LoraStyle::kKohya, id.component, role);
      if (!suffix) {
        throw Error("lora: {}: a bias that is replaced whole has no name in kohya's style",
                    text_of(id));
      }
      const std::string key = name + *suffix;
      tensors[key] = tensor.is_floating_point() ? cast_checked(tensor, dtype, key) : tensor;
    }
    if (is_bias) continue;
    if (module.alpha)
      tensors[name + ".alpha"] = scalar_tensor(static_cast<float>(*module.alpha), dtype);
    if (module.scale)
      tensors[name + ".scale"] = scalar_tensor(static_cast<float>(*module.scale), dtype);
  }
  return tensors;
}

}  // namespace fourstep
