#pragma once
// A model put together from a checkpoint and files of single parts: another UNet, VAE or text encoder; and what it lacks.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "io/checkpoint.h"

namespace fourstep {

/// Empty: as in `model`.
struct ModelPaths {
  std::string model = {}, unet = {}, vae = {}, text_encoder = {}, text_encoder_2 = {};
};

struct ModelParts {
  Checkpoint checkpoint;
  std::map<Component, std::filesystem::path>
      paths;               ///< of the parts that came from files of their own
  Metadata unet_metadata;  ///< of a separate UNet

  /// The file or folder of a part, for messages.
  const std::filesystem::path& path_of(Component component) const;
};

/// Opens all paths. A separate UNet brings its family, prediction and heads, a VAE its scaling factor (the family's when it says
/// nothing), a text encoder its vocabulary. A VAE that is a decoder alone loses its quant_conv.
/// Throws Error naming the file that is not the part it is given for, or does not fit the others: a UNet of another family, a
/// VAE of other latents, a text encoder of another width (its name and the one that is wanted are said).
ModelParts open_model_parts(const ModelPaths& paths);

/// A part that is not there, or not whole.
struct Shortage {
  Component component = Component::kUnet;
  std::vector<std::string> names;  ///< missing weights; empty: the whole part is missing

  /// "has no vae; name a VAE file with --vae", "text_encoder_2: 1 weight is missing (...); ...".
  std::string sentence() const;
};

/// What the checkpoint needs for sampling and does not have.
std::vector<Shortage> shortages_of(const Checkpoint& checkpoint);

/// Throws Error naming the file and the first shortage.
void check_whole(const ModelParts& parts);

/// Whether a VAE's weights are those of a tiny one (TAESD).
bool is_tiny_vae(const NamedTensors& weights);

}  // namespace fourstep
