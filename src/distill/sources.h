#pragma once
// What a distillation learns from, beside the teacher: prompts for the student, real latents for
// the discriminator, and the size of the pictures. From files here; emoji/distillation.h has
// another one.

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/events.h"
#include "distill/config.h"
#include "pipeline/models.h"

namespace fourstep {

struct RealBatch {
  Tensor latents;  ///< [count,4,h,w] fp32 on the CPU, scaled as the network takes them
  std::vector<std::string> captions;
};

/// Every batch depends on the seed and the iteration alone.
struct DistillSources {
  int64_t side = 0;  ///< of the pictures, in px
  /// config.batch of them.
  std::function<std::vector<std::string>(int64_t iteration)> prompts = {};
  /// The same `count` prompts at each call, for sheets.
  std::function<std::vector<std::string>(int64_t count)> examples = {};
  std::function<RealBatch(int64_t iteration)> real = {};  ///< empty without GAN
  /// What decides them, beside the config: for resuming, and for the recipe in the result.
  nlohmann::ordered_json settings = nlohmann::ordered_json::object();
};

/// Latents with a caption each, of which `batch` takes random rows.
struct LatentRows {
  Tensor latents;  ///< [N,4,h,w]
  std::vector<std::string> captions;

  RealBatch batch(uint64_t seed, int64_t iteration, int64_t count) const;
};

/// The tensor "latents" [N,4,h,w] of a safetensors file. Throws Error naming the file when it has
/// none, or they are not of pictures of `side` px.
Tensor latents_of_file(const TensorFile& file, int64_t side);

/// A safetensors file with "latents" and, in its metadata, "captions": a JSON list of as many
/// texts.
/// Throws Error naming the file when it is no such file.
LatentRows read_latent_rows(const std::filesystem::path& path, int64_t side);

/// Throws InvalidRequest for a side that the levels of the UNet cannot halve.
void check_training_side(const Models& models, int64_t side);

/// Size from config.resolution or the model, said in a notice; prompts from the file
/// config.prompts; with a GAN real pictures from the folder config.data, encoded by the model's VAE
/// and kept in config.latents, or from the file config.real_latents.
/// Throws InvalidRequest when something is missing or the size does not fit the network, Error
/// naming a broken file.
DistillSources sources_from_files(Models& models, const DistillConfig& config,
                                  const Events& events);

}  // namespace fourstep
