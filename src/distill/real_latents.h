#pragma once
// Real pictures for the discriminator: latents of drawn scenes and the captions of those scenes.

#include <filesystem>
#include <string>
#include <vector>

#include "data/emoji_data.h"

namespace fourstep {

/// The file latents.safetensors that "train" writes. Its metadata says which scenes the rows show, so captions are right
/// whatever scenes the distillation itself asks for.
class RealLatents {
 public:
  struct Batch {
    Tensor latents;  ///< [count,4,h,w] fp32, scaled as the network takes them
    std::vector<std::string> captions;
  };

  /// emoji_pack: as in open_emoji_data(). Throws Error naming the file when it is missing, has no latents, or does not
  /// say what they show.
  RealLatents(const std::filesystem::path& file, const std::filesystem::path& emoji_pack);

  /// `count` random rows; they and the wordings depend on the arguments alone.
  Batch batch(uint64_t seed, int64_t iteration, int64_t count) const;

 private:
  struct Content {
    Tensor latents;
    EmojiData data;
    uint64_t data_seed;  ///< of the scenes
  };
  static Content read(const std::filesystem::path& file, const std::filesystem::path& emoji_pack);

  Content content_;
};

}  // namespace fourstep
