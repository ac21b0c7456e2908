#pragma once
// The parts of a LoRA fine-tuning: what learns, on which pictures, and how far off it is.

#include <string>
#include <vector>

#include "data/buckets.h"
#include "pipeline/models.h"
#include "train/adapter.h"
#include "train/latent_cache.h"
#include "train/loop.h"
#include "train/lora_config.h"
#include "train/noise_levels.h"
#include "train/optimizer.h"

namespace fourstep {

/// The layers that a preset names, for AdapterOptions::targets. attention: queries, keys, values
/// and outputs;
/// transformer: all linear layers of the transformers, kohya's choice for its LoRAs; full: the
/// convolutions too, the list of the public DMD2 LoRA. Throws InvalidRequest for another word.
std::vector<std::string> lora_targets(const std::string& preset);

/// Pictures of one shape with what SDXL is told about them.
struct LoraBatch {
  Tensor latents;  ///< [B,C,h,w] fp32 on the CPU
  std::vector<std::string> captions;
  std::vector<SizeConditioning> sizes;
};

/// The model, frozen, and its adapter. Everything refers to `models`, which must outlive it.
struct LoraRun {
  LoraTrainConfig config;  ///< with the numbers of epochs turned into iterations
  Models& models;
  TrainingImages data;
  BucketOrder order;
  TextEncoders encoders;
  UNet unet{nullptr};
  std::shared_ptr<Adapter> adapter;
  NamedTensors factors;  ///< of the adapter
  AdamW optimizer;
  NoiseSchedule schedule;
  NoiseLevels levels;
  NetworkOutput output = NetworkOutput::kEps;
  int64_t side = 1024;  ///< of the square that the config means, in pixels
  std::string latents_identity;

  /// Whether dropped captions are zeros (SDXL) or the encoded empty text (SD 1.5).
  bool has_zero_null() const { return encoders.state == ContextState::kPenultimate; }
};

/// Scans the data, makes the folder `out`, encodes the data there and loads the networks.
/// Throws as scan_image_folder(), make_buckets(), encode_images() and Models.
LoraRun make_lora_run(Models& models, const LoraTrainConfig& config, const Events& events);

/// The batch of an iteration: a function of the seed and the iteration alone.
LoraBatch lora_batch(LoraRun& run, int64_t iteration);

/// Mean squared error of the prediction with the adapter at noise levels of this iteration, min-SNR
/// weighted. Gradients flow to the adapter's factors. The noise offset adds to each channel one
/// number for all its places.
/// Source of the offset: Guttenberg 2023, "Diffusion with offset noise", crosslabs.org.
Tensor lora_loss(LoraRun& run, const LoraBatch& batch, int64_t iteration);

/// Loss, gradients, one update. Numbers of the iteration for the log.
LossRow lora_step(LoraRun& run, int64_t iteration);

}  // namespace fourstep
