#pragma once
// LoRA files, and what they say about themselves in the keys that kohya's trainers write and other
// programs show.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "io/fields_json.h"
#include "io/tensor_file.h"
#include "train/adapter.h"

namespace fourstep {

/// The settings without what belongs to the machine: the same recipe gives the same file.
template <typename Config>
nlohmann::ordered_json recipe_of(const Config& config) {
  auto recipe = json_from_fields(config);
  for (const char* name : {"out", "save_every", "sample_every"}) recipe.erase(name);
  for (const char* name : {"model", "init", "emoji_pack", "vae", "text_encoder", "text_encoder_2",
                           "data", "latents", "prompts", "real_latents", "sample_prompts"}) {
    // In some configs "latents" is how many there are, not a file.
    if (!recipe.contains(name) || !recipe[name].is_string()) continue;
    recipe[name] =
        std::filesystem::path(recipe[name].template get<std::string>()).filename().string();
  }
  return recipe;
}

struct LoraIdentity {
  int64_t rank = 0;
  double alpha = 0;
  std::string title;
  std::string base_model_version = "sdxl_base_v1-0";  ///< kohya's word for the family
};

/// ss_network_dim, ss_network_alpha, ss_network_module, ss_base_model_version, modelspec.title, and
/// the recipe as fourstep.recipe.
Metadata lora_metadata(const LoraIdentity& identity, const nlohmann::ordered_json& recipe);

/// STEM_fp32.safetensors and STEM_fp16.safetensors. factors: see Adapter::exported().
void write_lora_files(const std::filesystem::path& stem, const Adapter& adapter,
                      const NamedTensors& factors, const Metadata& metadata);

}  // namespace fourstep
