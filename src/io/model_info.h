#pragma once
// What `model inspect` tells about a file or folder.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/architecture_hints.h"
#include "io/hashes.h"
#include "io/model_parts.h"
#include "io/tensor_file.h"

namespace fourstep {

struct ComponentInfo {
  Component component = Component::kUnet;
  int64_t tensors = 0, parameters = 0;
  uint64_t bytes = 0;
  size_t files = 1;  ///< more than one: shards
  std::string
      dtypes;  ///< the safetensors names in use, most parameters first: "F16", "scaled fp8 (F8_E4M3), F16"
};

struct ModelInfo {
  std::filesystem::path path;
  std::string name;     ///< "SDXL", "SDXL refiner", "LoRA", ...
  std::string refusal;  ///< why it cannot be sampled, in one sentence; empty when it can
  std::string layout;   ///< "single file", "UNet file", "diffusers folder", ...
  Prediction prediction = Prediction::kEps;
  bool zero_terminal_snr = false;
  std::vector<ComponentInfo> components;
  std::vector<Component>
      missing;  ///< that a complete model of the family has; empty for refused files
  std::vector<Shortage> incomplete;  ///< parts that lack weights, and which
  UNetFacts unet;                    ///< all zero without a UNet
  int64_t latent_channels = 0, text_width = 0, text_layers = 0, text_width_2 = 0, text_layers_2 = 0;
  ArchitectureHints hints;
  size_t num_tensors = 0, num_ignored = 0, num_unknown = 0;
  std::vector<std::string> first_unknown;  ///< at most five
  std::vector<std::string> notices;        ///< see Checkpoint
  Metadata metadata;                       ///< values cut after 200 bytes, the length named
  std::optional<FileHashes> hashes;        ///< on demand only: the whole file is read for them
};

/// Reads headers only (and pickles' structure); weights are not touched.
/// Throws Error when the path cannot be read.
ModelInfo describe_model(const std::filesystem::path& path);

/// One JSON object with the facts above.
std::string model_info_json(const ModelInfo& info);
/// A table for people, lines ending in \n. Text from the file is escaped.
std::string model_info_text(const ModelInfo& info);

}  // namespace fourstep
