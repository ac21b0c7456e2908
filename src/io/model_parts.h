#pragma once
// A model put together from a checkpoint and files of single parts: another UNet, VAE or text
// encoder; and what it lacks.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/architecture_hints.h"
#include "io/checkpoint.h"
#include "io/model_family.h"

namespace fourstep {

// One CLIP text encoder from a file or folder of its own. Layouts: transformers (with or without
// "text_model.", with or without the image half), open_clip ("transformer.resblocks."), each under
// any prefix, as ComfyUI's clip_l and clip_g files, whole checkpoints and files of several encoders
// have them.

struct TextEncoderFile {
  NamedTensors weights;     ///< transformers' names
  ArchitectureHints hints;  ///< the text_* fields of this encoder only
  std::string merges_text;  ///< vocabulary in the file; else empty
  std::optional<std::filesystem::path> tokenizer_folder;  ///< beside a folder; has merges.txt
};

/// component: which encoder is wanted; of a file that holds two, the first is the narrower one.
/// path: a file, a shard, a folder with config.json and weights, or a diffusers folder.
/// Throws Error naming what the path holds when it is no CLIP text encoder.
TextEncoderFile open_text_encoder(const std::filesystem::path& path, Component component);

/// Width of the token embedding in a file of any layout; of several the narrowest; 0 when there is
/// none.
int64_t text_encoder_width(const NamedShapes& file);

/// "CLIP ViT-L/14 (width 768)", "OpenCLIP ViT-bigG/14 (width 1280)", "text encoder of width 64".
std::string text_encoder_name(int64_t width);

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

/// Opens all paths. A separate UNet brings its family, prediction and heads, a VAE its scaling
/// factor (the family's when it says nothing), a text encoder its vocabulary. A VAE that is a
/// decoder alone loses its quant_conv.
/// Throws Error naming the file that is not the part it is given for, or does not fit the others: a
/// UNet of another family, a VAE of other latents, a text encoder of another width (its name and
/// the one that is wanted are said).
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
