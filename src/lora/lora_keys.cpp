#include "lora/lora_keys.h"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "io/single_file.h"

namespace fourstep {

namespace {

using enum Component;

/// Prefixes of module names once '.' is written as '_', and the components they can mean.
struct Prefix {
  std::string_view text;
  std::vector<Component> components;
};

const std::array kPrefixes = {
    Prefix{"lora_unet_", {kUnet}},
    Prefix{"oft_unet_", {kUnet}},
    Prefix{"lora_te1_", {kTextEncoder}},
    Prefix{"lora_te2_", {kTextEncoder2}},
    Prefix{"lora_te_", {kTextEncoder, kTextEncoder2}},
    Prefix{"unet_", {kUnet}},
    Prefix{"text_encoder_2_", {kTextEncoder2}},
    Prefix{"text_encoder_", {kTextEncoder}},
    Prefix{"text_encoders_clip_l_transformer_", {kTextEncoder}},
    Prefix{"text_encoders_clip_l_", {kTextEncoder}},
    Prefix{"text_encoders_clip_g_transformer_", {kTextEncoder2}},
    Prefix{"text_encoders_clip_g_", {kTextEncoder2}},
    Prefix{"clip_l_", {kTextEncoder}},
    Prefix{"clip_g_", {kTextEncoder2}},
    Prefix{"diffusion_model_", {kUnet}},
    Prefix{"model_diffusion_model_", {kUnet}},
    Prefix{"lycoris_unet_", {kUnet}},
    Prefix{"lycoris_", {kUnet, kTextEncoder, kTextEncoder2}},
    Prefix{"base_model_model_unet_", {kUnet}},
    Prefix{"base_model_model_text_encoder_2_", {kTextEncoder2}},
    Prefix{"base_model_model_text_encoder_", {kTextEncoder}},
    Prefix{"base_model_model_", {kUnet, kTextEncoder, kTextEncoder2}},
    Prefix{"", {kUnet, kTextEncoder, kTextEncoder2}},
};

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

std::string without_suffix(std::string text, std::string_view suffix) {
  if (text.ends_with(suffix)) text.resize(text.size() - suffix.size());
  return text;
}

std::string without_prefix(const std::string& text, std::string_view prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

/// open_clip's name of a module of an HF text encoder, "" when it has none of its own.
std::string open_clip_name(const std::string& module) {
  if (module == "final_layer_norm") return "ln_final";
  if (!module.starts_with("encoder.layers.")) return "";
  std::string name = replaced(module, "encoder.layers.", "transformer.resblocks.");
  name = replaced(replaced(name, "mlp.fc1", "mlp.c_fc"), "mlp.fc2", "mlp.c_proj");
  name = replaced(replaced(name, "layer_norm1", "ln_1"), "layer_norm2", "ln_2");
  return replaced(name, "self_attn.out_proj", "attn.out_proj");
}

}  // namespace

std::string with_underscores(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

LoraTargets::LoraTargets(std::map<Component, NamedShapes> shapes,
                         const std::map<std::string, std::string>& ldm_names)
    : shapes_(std::move(shapes)) {
  std::map<std::string, std::string> ldm_modules;
  for (const auto& [ours, ldm] : ldm_names) {
    ldm_modules[without_suffix(ours, ".weight")] =
        without_prefix(without_suffix(ldm, ".weight"), "model.diffusion_model.");
  }
  for (const auto& [component, parameters] : shapes_) {
    if (component == kVae) continue;
    for (const auto& [parameter, shape] : parameters) {
      if (!parameter.ends_with(".weight")) continue;
      const std::string module = without_suffix(parameter, ".weight");
      if (component == kUnet) {
        add_unet_names(module, ldm_modules[module]);
      } else {
        add_text_names(component, module);
      }
    }
  }
}

void LoraTargets::add_name(Component component, const std::string& spelling, const Slice& slice) {
  if (spelling.empty()) return;
  std::vector<Slice>& slices = names_[component][with_underscores(spelling)];
  // A second plain meaning would make the name ambiguous; the first (the module's own name) stays.
  if (slices.empty() || slice.count >= 0) slices.push_back(slice);
}

void LoraTargets::add_unet_names(const std::string& module, const std::string& ldm_name) {
  const Slice whole{module};
  add_name(kUnet, module, whole);
  if (ldm_name != module) add_name(kUnet, ldm_name, whole);
  for (const char* attention : {".attn1.", ".attn2."}) {
    if (module.find(attention) == std::string::npos) continue;
    // Old diffusers files: "attn1.processor.to_q", and "to_out" for what became "to_out.0".
    const std::string legacy = without_suffix(module, ".0");
    add_name(kUnet, legacy, whole);
    add_name(kUnet, replaced(legacy, attention, std::string(attention) + "processor."), whole);
  }
}

void LoraTargets::add_text_names(Component component, const std::string& module) {
  const Slice whole{module};
  const std::string bare = without_prefix(module, "text_model.");
  for (const std::string& name : {"text_model." + bare, bare, open_clip_name(bare)}) {
    add_name(component, name, whole);
  }
  constexpr std::array kProjections = {"q_proj", "k_proj", "v_proj", "out_proj"};
  constexpr std::array kLegacy = {"to_q", "to_k", "to_v", "to_out"};
  for (size_t i = 0; i < kProjections.size(); ++i) {
    if (!bare.ends_with(std::string("self_attn.") + kProjections[i])) continue;
    const std::string legacy = replaced(bare, kProjections[i], kLegacy[i]);
    add_name(component, "text_model." + legacy, whole);
    add_name(component, legacy, whole);
    if (i == 3) return;
    // open_clip's fused projection: rows q, k, v.
    const int64_t width = (*shape(component, module + ".weight"))[0];
    const std::string fused =
        replaced(open_clip_name(bare), std::string("self_attn.") + kProjections[i], "attn.in_proj");
    add_name(component, fused, {module, static_cast<int64_t>(i) * width, width});
  }
}

std::vector<LoraTargets::Target> LoraTargets::find(const std::string& name) const {
  const std::string plain = with_underscores(name);
  std::vector<Target> found;
  for (const Prefix& prefix : kPrefixes) {
    if (!plain.starts_with(prefix.text)) continue;
    const std::string rest = plain.substr(prefix.text.size());
    for (const Component component : prefix.components) {
      const auto dictionary = names_.find(component);
      if (dictionary == names_.end()) continue;
      const auto slices = dictionary->second.find(rest);
      if (slices != dictionary->second.end()) found.push_back({component, slices->second});
    }
  }
  return found;
}

std::optional<Component> LoraTargets::missing_component(const std::string& name) const {
  const std::string plain = with_underscores(name);
  for (const Prefix& prefix : kPrefixes) {
    if (!plain.starts_with(prefix.text)) continue;
    const Component component = prefix.components.front();
    return names_.count(component) == 0 ? std::optional(component) : std::nullopt;
  }
  return std::nullopt;
}

const Shape* LoraTargets::shape(Component component, const std::string& parameter) const {
  const auto shapes = shapes_.find(component);
  if (shapes == shapes_.end()) return nullptr;
  const auto found = shapes->second.find(parameter);
  return found == shapes->second.end() ? nullptr : &found->second;
}

int64_t LoraTargets::cross_width() const {
  const auto shapes = shapes_.find(kUnet);
  if (shapes == shapes_.end()) return 0;
  for (const auto& [name, shape] : shapes->second) {
    if (name.ends_with("attn2.to_k.weight") && shape.size() == 2) return shape[1];
  }
  return 0;
}

LoraTargets lora_targets_of(const Checkpoint& checkpoint) {
  std::map<Component, NamedShapes> shapes;
  for (const auto& [component, weights] : checkpoint.components) {
    shapes[component] = shapes_of(weights);
  }
  const auto ldm_names = ldm_unet_names(shapes.at(Component::kUnet));
  return {std::move(shapes), ldm_names};
}

namespace {

struct Mark {
  std::string_view text;  ///< occurs in a key
  const char* meaning;
};

constexpr Mark kRefused[] = {
    {".boft_", "PEFT's BOFT (boft_R, boft_s)"},
    {".oft_diag", "an OFT of LyCORIS before 2.0 (oft_diag)"},
    {".oft_R", "PEFT's OFT (oft_R)"},
    {".ia3_l", "PEFT's IA3 (ia3_l)"},
    {".lora_embedding_", "a LoRA on an embedding table"},
    {".vera_lambda_", "VeRA"},
    {".reshape_weight", "a LoRA that changes the weight's shape"},
};

constexpr Mark kFiles[] = {
    {"lllite_", "a ControlNet-LLLite: give it as a control model"},
    {"control_model.", "a ControlNet: give it as a control model"},
    {"controlnet_cond_embedding", "a ControlNet: give it as a control model"},
    {"input_hint_block", "a ControlNet: give it as a control model"},
    {"ip_adapter.", "an IP-Adapter: give it as an image prompt"},
    {"image_proj.", "an IP-Adapter: give it as an image prompt"},
    {"bundle_emb.", "a bundle of embeddings without a LoRA: give each as an embedding"},
    {"string_to_param", "a textual inversion: give it as an embedding"},
    {"emb_params", "a textual inversion: give it as an embedding"},
    {"model.diffusion_model.", "a full checkpoint: give it as the model"},
    {"double_blocks.", "a Flux model, which this program cannot sample"},
    {"joint_blocks.", "an SD 3 model, which this program cannot sample"},
    {"first_stage_model.", "a VAE: give it as the VAE"},
    {"decoder.up_blocks.", "a VAE: give it as the VAE"},
    {"decoder.up.", "a VAE: give it as the VAE"},
    {"down_blocks.", "a UNet: give it as the model"},
    {"input_blocks.", "a UNet: give it as the model"},
    {"text_model.encoder.layers.", "a text encoder"},
};

/// Parts of module names, with '.' written as '_', that one family alone has.
constexpr Mark kFamilies[] = {
    {"double_blocks", "Flux"},
    {"single_transformer_blocks", "Flux"},
    {"joint_blocks", "SD 3"},
    {"add_q_proj", "SD 3"},
    {"lora_te3_", "SD 3 or Flux"},
    {"lora_prior_", "Stable Cascade"},
    {"adaln_single", "PixArt"},
    {"lora_transformer_", "a diffusion transformer"},
    {"diffusion_model_layers_", "a diffusion transformer"},
    {"diffusion_model_blocks_", "a diffusion transformer"},
};

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// A textual inversion for SDXL holds just these two.
bool is_sdxl_embedding(const NamedTensors& tensors) {
  return tensors.count("clip_g") != 0 || tensors.count("clip_l") != 0;
}

}  // namespace

const char* refused_kind(const std::string& key) {
  for (const Mark& mark : kRefused) {
    if (contains(key, mark.text)) return mark.meaning;
  }
  return nullptr;
}

std::string describe_foreign_keys(const NamedTensors& tensors) {
  if (tensors.empty()) return "it holds no tensors";
  if (is_sdxl_embedding(tensors)) {
    return "it looks like a textual inversion: give it as an embedding";
  }
  for (const Mark& mark : kFiles) {
    for (const auto& [key, tensor] : tensors) {
      if (contains(key, mark.text)) return fmt::format("it looks like {}", mark.meaning);
    }
  }
  return fmt::format("its {} tensors (first: \"{}\") have none of the names that trainers write",
                     tensors.size(), tensors.begin()->first);
}

const char* foreign_family(const std::vector<std::string>& module_names) {
  for (const Mark& mark : kFamilies) {
    for (std::string name : module_names) {
      std::replace(name.begin(), name.end(), '.', '_');
      if (contains(name, mark.text)) return mark.meaning;
    }
  }
  return nullptr;
}

const char* family_of_cross_width(int64_t width) {
  switch (width) {
    case 768:
      return "SD 1.5";
    case 1024:
      return "SD 2";
    case 2048:
      return "SDXL";
    case 1280:
      return "SDXL refiner";
    default:
      return nullptr;
  }
}

}  // namespace fourstep
