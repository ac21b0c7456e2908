#pragma once
// A model in SDXL's layout that is trained from nothing: two text encoders, UNet, autoencoder, and a vocabulary of
// its own. Only widths and depths differ from the large one.

#include <filesystem>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "io/file_metadata.h"
#include "nets/unet.h"
#include "nets/vae.h"
#include "text/conditioning.h"
#include "train/config.h"

namespace fourstep {

/// The factor of SDXL's autoencoder, which loaders take for granted.
constexpr double kSdxlScalingFactor = 0.13025;

struct SmallModel {
  std::string merges_text;
  Tokenizer tokenizer;
  ClipText text{nullptr}, text_2{nullptr};
  UNet unet{nullptr};

  /// Of text encoders and UNet: "text/NAME", "text_2/NAME", "unet/NAME"; they share their memory.
  NamedTensors parameters();
  TextEncoders text_encoders();  ///< refer to this model
};

/// With first weights. words: what the vocabulary must know.
SmallModel make_small_model(const TrainConfig& config, const std::vector<std::string>& words);

/// The same with the vocabulary and the weights of a model that write_small_model() wrote.
/// Throws Error when its parts have other shapes than the config says, or it has no vocabulary of its own.
SmallModel load_small_model(const TrainConfig& config, const Checkpoint& checkpoint);

/// Writes the whole model as one safetensors file with SDXL's key names. parameters: as SmallModel::parameters(), or
/// their average; written as fp16. metadata: of the file, such as the recipe.
void write_small_model(const std::filesystem::path& path, SmallModel& model,
                       const NamedTensors& parameters, Vae& vae, const Metadata& metadata);

}  // namespace fourstep
