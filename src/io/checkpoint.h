#pragma once
// A model as people have it (one file, a diffusers folder, a UNet alone) as named tensors per
// network, all under diffusers' parameter names.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "io/architecture_hints.h"
#include "io/model_family.h"
#include "io/tensor_file.h"

namespace fourstep {

struct Checkpoint {
  std::filesystem::path path;
  Family family = Family::kSdxl;
  Prediction prediction = Prediction::kEps;
  bool zero_terminal_snr = false;
  std::map<Component, NamedTensors>
      components;  ///< parts that the file holds; views of the mapping
  ArchitectureHints hints;
  Metadata metadata;
  std::optional<std::filesystem::path> tokenizer_folder;  ///< of a diffusers folder: has merges.txt
  std::string merges_text;  ///< vocabulary inside the file (metadata "fourstep.merges"); else empty
  std::vector<std::string>
      notices;  ///< which files were chosen where there were several, in sentences

  bool has(Component component) const { return components.count(component) != 0; }
};

/// The side, in pixels, of the pictures that the model was trained on: metadata
/// "modelspec.resolution" (its first number), else 512 for SD 1.5 and 1024 for all others.
int64_t native_side_of(const Checkpoint& checkpoint);

/// Takes `metadata` of the file of the UNet or of the whole model, and the vocabulary in it.
void set_metadata(Checkpoint& checkpoint, const Metadata& metadata);

/// Opens a single file (safetensors, .ckpt, .pt, .bin), a UNet-only file, or a diffusers folder;
/// any of them may be cut into shards (weight_files.h), of which a file is named by any one or by
/// the folder. The family is recognised from names and shapes. Weights of scaled fp8 files are
/// promises of their true values (base/scaled_weight.h).
/// Throws Error naming the file and, for what cannot be sampled (SDXL refiner, inpainting, SD 2, SD
/// 3, Flux, a LoRA, a VAE alone, quantised weights, ...), what it is.
Checkpoint open_checkpoint(const std::filesystem::path& path);

/// Opens a separate VAE: a file or folder of one (ldm or diffusers names), its decoder alone, or
/// the VAE of a whole model; or a tiny VAE (see module_names.h), which has
/// "decoder.layers.0.weight".
/// Throws Error when it is none, or quantised.
NamedTensors open_vae(const std::filesystem::path& path);
/// What the folder of a separate VAE, or its file's metadata, says: vae_* fields only.
ArchitectureHints open_vae_hints(const std::filesystem::path& path);

/// What a path holds, whether it can be sampled or not.
struct ModelSource {
  Checkpoint checkpoint;  ///< its family is meaningful only where `recognition` has one
  Recognition recognition;
  std::string layout;      ///< "single file", "UNet file", "diffusers folder", ...
  size_t num_tensors = 0;  ///< in the file or files
  std::map<Component, size_t>
      num_files;  ///< of a diffusers folder: files that each network is read from
  std::vector<std::string> unknown_keys;  ///< tensors that no component has a place for
  std::vector<std::string> ignored_keys;  ///< EMA copies, schedules, markers, scales
  std::string unreadable;  ///< why weights cannot be read (quantisation.h); empty when they can
};

/// As open_checkpoint, but describes files of other kinds instead of throwing.
/// Throws Error when the path cannot be read.
ModelSource open_model_source(const std::filesystem::path& path);

/// The part of open_model_source that comes after open_weights(). Throws Error naming the file and
/// key when a tensor has an impossible shape.
ModelSource model_source_of(const TensorFile& file);

/// The sentence with which open_checkpoint refuses; empty for a model that can be sampled.
std::string refusal(const ModelSource& source);

// Which weights a network lacks. What it should have is told by what is there: a UNet that has
// three levels on the way down has three on the way up, a layer has all parts of a layer, and
// encoders of a published width have the published depth.

/// Names under diffusers' convention, in the order in which the network uses them; empty when it is
/// whole.
/// shapes: of one component, diffusers names. A VAE may be a decoder alone (its encoder is then not
/// missed), and one without quant_conv and post_quant_conv is whole. The second text encoder must
/// have its text_projection.
std::vector<std::string> missing_weights(Component component, const NamedShapes& shapes);

/// Whether a VAE's weights can turn latents into images only.
bool is_decoder_only(const NamedShapes& vae);

}  // namespace fourstep
