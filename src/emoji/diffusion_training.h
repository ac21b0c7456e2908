#pragma once
// Training of the small latent diffusion model with eps prediction on SDXL's noise schedule.

#include <functional>
#include <string>
#include <vector>

#include "base/events.h"
#include "emoji/small_model.h"
#include "emoji/train_config.h"
#include "train/loop.h"

namespace fourstep {

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
