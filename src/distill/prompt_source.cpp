#include "distill/prompt_source.h"

#include "base/error.h"
#include "data/emoji_choice.h"
#include "data/emoji_pack.h"
#include "io/safetensors.h"
#include "train/captions.h"
#include "train/random.h"

namespace fourstep {

namespace {

constexpr int64_t kExampleSeed =
    7;  // that of training's sheets, so that they can be laid side by side

Tensor read_latents(const std::string& path) {
  const TensorFile file = open_safetensors(path);
  const auto found = file.tensors.find("latents");
  if (found == file.tensors.end() || found->second.dim() != 4) {
    throw Error(
        "\"{}\" has no tensor \"latents\" of four dimensions; \"fourstep train\" writes such files",
        path);
  }
  return found->second.clone();
}

}  // namespace

PromptSource::PromptSource(const DistillConfig& config) : config_(config) {
  if (config.gan_weight > 0 && config.real_latents.empty()) {
    throw InvalidRequest("--gan-weight {} needs real pictures: name a file with --real-latents",
                         config.gan_weight);
  }
  if (config.prompts == "emoji") {
    emoji_ = open_emoji_data(config.scenes, emoji_groups_of(config.emoji_groups, config.model),
                             config.emoji_pack);
  } else {
    lines_ = read_prompts(config.prompts);
  }
  if (config.real_latents.empty()) return;
  if (!emoji_)
    throw InvalidRequest("--real-latents needs --prompts emoji, whose captions belong to them");
  latents_ = read_latents(config.real_latents);
}

std::vector<std::string> PromptSource::prompts(int64_t iteration) const {
  std::vector<std::string> prompts;
  const Tensor choice =
      draw_integers({config_.seed, "prompts", iteration}, 0,
                    std::max<int64_t>(1, static_cast<int64_t>(lines_.size())), config_.batch);
  for (int64_t j = 0; j < config_.batch; ++j) {
    if (!emoji_) {
      prompts.push_back(lines_[static_cast<size_t>(choice[j].item<int64_t>())]);
      continue;
    }
    // Scenes of a seed that training does not use; their captions as in training.
    const int64_t index = iteration * config_.batch + j;
    const Scene scene = emoji_->scene(config_.seed + 2, index, Split::kTraining);
    prompts.push_back(make_caption(scene, emoji_->emoji(), config_.seed + 2, index));
  }
  return prompts;
}

PromptSource::Real PromptSource::real(int64_t iteration) const {
  const Tensor rows =
      draw_integers({config_.seed, "real", iteration}, 0, latents_.size(0), config_.batch);
  Real real{latents_.index_select(0, rows).to(torch::kFloat32), {}};
  for (int64_t j = 0; j < config_.batch; ++j) {
    const auto row = rows[j].item<int64_t>();
    const Scene scene = emoji_->scene(config_.seed, row, Split::kTraining);
    real.captions.push_back(make_caption(scene, emoji_->emoji(), config_.seed + 3, row));
  }
  return real;
}

std::vector<std::string> PromptSource::examples(int64_t count) const {
  std::vector<std::string> examples;
  for (int64_t i = 0; i < count; ++i) {
    if (emoji_) {
      examples.push_back(
          main_caption(emoji_->scene(kExampleSeed, i, Split::kTraining), emoji_->emoji()));
    } else {
      examples.push_back(lines_[static_cast<size_t>(i) % lines_.size()]);
    }
  }
  return examples;
}

}  // namespace fourstep
