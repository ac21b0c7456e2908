#pragma once
// What the student is asked for during distillation.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/emoji_data.h"
#include "distill/config.h"

namespace fourstep {

/// Prompts, and real latents with their captions where the settings name a file of them. Each iteration's batch
/// depends on the seed and the iteration alone.
class PromptSource {
 public:
  /// Throws Error when a file is missing or empty, InvalidRequest when a GAN has no real pictures.
  explicit PromptSource(const DistillConfig& config);

  std::vector<std::string> prompts(int64_t iteration) const;

  struct Real {
    Tensor latents;  ///< [batch,4,h,w] fp32
    std::vector<std::string> captions;
  };
  /// Only with config.real_latents.
  Real real(int64_t iteration) const;

  /// The same `count` prompts at each call, for sheets.
  std::vector<std::string> examples(int64_t count) const;

 private:
  DistillConfig config_;
  std::optional<EmojiData> emoji_;
  std::vector<std::string> lines_;
  Tensor latents_;
};

}  // namespace fourstep
