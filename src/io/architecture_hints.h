#pragma once
// Facts about a model that the shapes of its weights cannot tell: from the config.json files of a
// diffusers folder, or from the metadata of a single file that this program wrote.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/model_family.h"
#include "io/tensor_file.h"

namespace fourstep {

/// Empty or zero where the source says nothing.
struct ArchitectureHints {
  std::vector<int64_t> unet_heads;  ///< per level, diffusers' (misnamed) `attention_head_dim`
  int64_t text_heads = 0, text_heads_2 = 0;
  std::string text_activation, text_activation_2;  ///< "quick_gelu" or "gelu"
  double vae_scaling_factor = 0;  ///< 0: the family's (SDXL 0.13025, SD 1.5 0.18215)
  std::optional<bool> vae_force_upcast;

  bool operator==(const ArchitectureHints&) const = default;
};

/// Adds what the config.json of a component says; nothing when the file is absent.
/// Throws Error naming the file when it is no JSON object or a value has an unexpected type,
/// and when the group norms of a UNet or VAE have another number of groups than 32.
void add_config_hints(Component component, const std::filesystem::path& config_json,
                      ArchitectureHints& hints);

/// The hints inside a single file's metadata: "fourstep.unet_heads" (a comma list),
/// "fourstep.text_heads", "fourstep.vae_scaling_factor" and so on, each named as its field above.
/// Values that do not parse are taken as absent, since anybody may write metadata.
ArchitectureHints hints_from_metadata(const Metadata& metadata);
/// The inverse: only hints that say something.
Metadata metadata_from_hints(const ArchitectureHints& hints);

}  // namespace fourstep
