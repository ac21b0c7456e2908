#pragma once
// The small model from nothing to a file: autoencoder, latents, diffusion model, in stages that
// each resume.

#include "base/events.h"
#include "emoji/emoji_data.h"
#include "emoji/small_model.h"
#include "emoji/train_config.h"

namespace fourstep {

/// The data set that the config describes.
EmojiData open_emoji_data(const TrainConfig& config);

/// Images of scenes [begin, begin + count) of the training split: [count,3,side,side] in [-1,1].
Tensor training_images(const EmojiData& data, uint64_t seed, int64_t begin, int64_t count);

/// How a run goes on, beside what decides its result.
struct TrainRun {
  torch::Device device = torch::kCPU;
  bool is_resumed = false;
};

/// Trains what is not finished yet and writes OUT/model.safetensors (fp16, the weight average).
/// Throws as run_loop.
void train_emoji_model(const TrainConfig& config, const TrainRun& run, const Events& events);

/// Writes the model as it is in the states of config.out, finished or not: what a run has learned
/// so far.
/// Throws Error when there are no states of autoencoder and diffusion model.
void export_emoji_model(const TrainConfig& config, const std::filesystem::path& path);

}  // namespace fourstep
