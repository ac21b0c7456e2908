#pragma once
// Where the pictures of a row come from: the renderer, or a model.

#include <filesystem>
#include <functional>
#include <memory>

#include "evaluate/config.h"
#include "evaluate/prompts.h"
#include "evaluate/rows.h"
#include "pipeline/models.h"

namespace fourstep {

struct Pictures {
  Tensor images;   ///< [B,3,side,side] fp32 on the CPU, in [-1,1]
  Tensor latents;  ///< [B,4,h,w] fp32 on the CPU, times the factor; undefined without autoencoder
  double seconds = 0;  ///< for making the images
};

/// Pictures begin .. begin + count - 1 of a set.
using PictureSource = std::function<Pictures(const PromptSet& set, int64_t begin, int64_t count)>;

/// The scenes themselves, encoded by the model's autoencoder. models: null for no latents.
PictureSource rendered_pictures(const EmojiData& data, Models* models);

/// What a model with its LoRAs set draws for the captions. side: of the pictures in px. Computes in fp32.
PictureSource sampled_pictures(Models& models, const EvaluationRow& row, int64_t side);

/// Throws InvalidRequest when the model cannot be sampled in batches here: other families than SDXL's, v-prediction,
/// a side that its autoencoder cannot make.
void check_model(Models& models, int64_t side);

/// One model in memory at a time: rows of the same file share it.
struct OpenModel {
  std::string file;
  std::unique_ptr<Models> models;
  std::vector<std::string> lora_lines;  ///< what fitted, see Models::set_loras()
};

/// Where the config's models compute. Throws InvalidRequest for an unknown device or precision.
Placement placement_of(const EvaluateConfig& config);

/// Opens `file` unless it is open, and sets its LoRAs.
Models& model_of(OpenModel& open, const std::string& file, const std::vector<LoraUse>& loras,
                 const Placement& placement, const Events& events);

}  // namespace fourstep
