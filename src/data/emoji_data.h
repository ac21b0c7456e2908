#pragma once
// The data set of drawn emoji: pictures with captions, without end, made on demand from (seed, index).

#include <string>
#include <vector>

#include "base/tensor.h"
#include "data/caption.h"
#include "data/draw.h"
#include "data/emoji_list.h"
#include "data/scene.h"

namespace fourstep {

/// Emoji, their pictures and configuration. Constant after construction; its functions may be called from several threads.
class EmojiData {
 public:
  struct Example {
    Tensor image;  ///< [3,image_size,image_size] fp32 in [-1,1]
    std::string caption;
    Scene scene;
  };

  /// groups: as in read_emoji_list(). Throws Error when a file is missing or broken or the font lacks an emoji,
  /// InvalidRequest when the configuration is out of range.
  EmojiData(const SceneConfig& config, const EmojiSources& sources,
            const std::vector<std::string>& groups);

  /// emoji: names and keywords of the data set; glyph: has a picture of each.
  EmojiData(const SceneConfig& config, std::vector<Emoji> emoji, GlyphSource glyph);

  int64_t count() const { return static_cast<int64_t>(emoji_.size()); }  ///< of emoji
  std::span<const Emoji> emoji() const { return emoji_; }
  const SceneConfig& config() const { return config_; }
  const GlyphSource& glyph() const { return glyph_; }

  /// make_scene(), and the same with its picture and make_caption(); main_caption() is the plain alternative.
  Scene scene(uint64_t seed, int64_t index, Split split) const;
  Example example(uint64_t seed, int64_t index, Split split) const;

 private:
  SceneConfig config_;
  std::vector<Emoji> emoji_;
  GlyphSource glyph_;
};

}  // namespace fourstep
