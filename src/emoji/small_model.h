#pragma once
// A model in SDXL's layout that is trained from nothing: two text encoders, UNet, autoencoder, and
// a vocabulary of its own. Only widths and depths differ from the large one.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/events.h"
#include "base/tensor.h"
#include "emoji/train_config.h"
#include "io/checkpoint.h"
#include "io/tensor_file.h"
#include "nets/unet.h"
#include "nets/vae.h"
#include "text/conditioning.h"
#include "train/loop.h"

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
/// Throws Error when its parts have other shapes than the config says, or it has no vocabulary of
/// its own.
SmallModel load_small_model(const TrainConfig& config, const Checkpoint& checkpoint);

/// Writes the whole model as one safetensors file with SDXL's key names. parameters: as
/// SmallModel::parameters(), or their average; written as fp16. metadata: of the file, such as the
/// recipe.
void write_small_model(const std::filesystem::path& path, SmallModel& model,
                       const NamedTensors& parameters, Vae& vae, const Metadata& metadata);

// First weights that let a narrow network speak of brightness and colour.
//
// SDXL's layout has 32 groups in every group norm. With 320 channels a group has ten of them; with
// 64 it has two, and a norm over two channels all but erases their mean: the last norm of a narrow
// decoder would have to find a detour for the colour of a plain background, which takes thousands
// of steps. What a norm leaves alone is a value relative to something else in its group. So one
// channel per group starts as that something: a frame of fixed strength along the border, which a
// convolution draws by itself where zero padding meets a constant.

/// Where the frame is drawn. Names are parameter names without ".weight".
struct FramePlace {
  std::string last_resnet;           ///< its second convolution draws the frame
  std::vector<std::string> writers;  ///< all other layers that add to the same map
  std::string conv_out;              ///< what reads the map behind the norm
  int64_t side = 0;                  ///< of the map
};

/// Changes the weights in place, so that the last channel of each of the 32 groups of the map holds
/// the frame alone, with a variance of 3 over the map, and conv_out does not look at it. All of it
/// is trained on afterwards. Nothing is changed where a group has one channel (there is no room) or
/// more than four (there is no need).
/// Throws Error when a layer is missing.
void add_frame_reference(const NamedTensors& parameters, const FramePlace& place);

// Training of the small latent diffusion model with eps prediction on SDXL's noise schedule.

/// Latents with the factor of the model family applied, and their captions.
struct LatentBatch {
  Tensor latents;  ///< [B,4,h,w] fp32
  std::vector<std::string> captions;
};

struct DiffusionTask {
  SmallModel& model;
  NamedTensors& average;  ///< of model.parameters(); updated
  std::function<LatentBatch(int64_t iteration)> batch;
  std::function<void(int64_t iteration)> sample = {};
};

LoopOptions diffusion_loop_options(const TrainConfig& config, bool is_resumed);

/// Trains the model and its average in place.
void train_diffusion(const DiffusionTask& task, const TrainConfig& config, bool is_resumed,
                     const Events& events);

}  // namespace fourstep
