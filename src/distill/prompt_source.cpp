#include "distill/prompt_source.h"

#include "base/error.h"
#include "data/emoji_pack.h"
#include "train/captions.h"
#include "train/random.h"

namespace fourstep {

namespace {

constexpr int64_t kExampleSeed =
    7;  // that of training's sheets, so that they can be laid side by side

}  // namespace

PromptSource::PromptSource(const DistillConfig& config) : config_(config) {
  if (config.prompts == "emoji") {
    emoji_ = open_emoji_data(config.emoji, config.model);
  } else {
    lines_ = read_prompts(config.prompts);
  }
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
