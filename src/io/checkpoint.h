#pragma once
// A model as people have it (one file, a diffusers folder, a UNet alone) as named tensors per network, all
// under diffusers' parameter names.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace fourstep {

/// Architecture families that can be sampled; widths and depths come from the shapes, not from the family.
enum class Family { kSdxl, kSsd1b, kVega, kSd15 };
enum class Component { kUnet, kVae, kTextEncoder, kTextEncoder2 };
enum class Prediction { kEps, kV };

/// "SDXL", "SSD-1B", "Segmind-Vega", "SD 1.5".
const char* to_string(Family family);
/// diffusers' folder names: "unet", "vae", "text_encoder", "text_encoder_2".
const char* to_string(Component component);
/// "epsilon", "v_prediction": diffusers' words.
const char* to_string(Prediction prediction);

/// What shapes cannot tell; empty or zero where the source says nothing. From config.json files of a
/// diffusers folder, or from the metadata of a single file.
struct ArchitectureHints {
  std::vector<int64_t> unet_heads;  ///< per level, diffusers' (misnamed) `attention_head_dim`
  int64_t text_heads = 0, text_heads_2 = 0;
  double vae_scaling_factor = 0;  ///< 0: the family's (SDXL 0.13025, SD 1.5 0.18215)
  std::optional<bool> vae_force_upcast;
};

struct Checkpoint {
  std::filesystem::path path;
  Family family = Family::kSdxl;
  Prediction prediction = Prediction::kEps;
  bool zero_terminal_snr = false;
  std::map<Component, NamedTensors>
      components;  ///< parts that the file holds; views of the mapping
  ArchitectureHints hints;
  std::map<std::string, std::string> metadata;
  std::optional<std::filesystem::path> tokenizer_folder;  ///< of a diffusers folder: has merges.txt
  std::string
      merges_text;  ///< vocabulary carried inside the file (metadata "fourstep.merges"); else empty

  bool has(Component component) const { return components.count(component) != 0; }
};

/// Opens a single file (safetensors, .ckpt, .pt, .bin), a UNet-only file, a VAE-only file's model, or a
/// diffusers folder (sharded too). The family is recognised from names and shapes.
/// Throws Error naming the file and, for models of other families (SDXL refiner, inpainting, SD 2, SD 3,
/// Flux, ...), the family found.
Checkpoint open_checkpoint(const std::filesystem::path& path);

/// Opens a separate VAE file or folder (ldm or diffusers names). Throws Error when it is none.
NamedTensors open_vae(const std::filesystem::path& path);

}  // namespace fourstep
