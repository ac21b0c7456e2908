#include "lora/foreign_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace fourstep {
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
