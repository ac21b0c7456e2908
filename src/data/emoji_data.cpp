#include "data/emoji_data.h"

#include "base/error.h"
#include "data/draw.h"

namespace fourstep {

EmojiData::EmojiData(const SceneConfig& config, const EmojiSources& sources,
                     const std::vector<std::string>& groups)
    : config_(config), emoji_(read_emoji_list(sources, groups)), font_(sources.font) {
  validate(config_);
  for (const Emoji& one : emoji_) {
    if (font_.has(one.code)) continue;
    throw Error(
        "EmojiData: the font \"{}\" has no \"{}\" (U+{:04X}); update the Debian package "
        "fonts-noto-color-emoji",
        sources.font.string(), one.name, static_cast<uint32_t>(one.code));
  }
}

Scene EmojiData::scene(uint64_t seed, int64_t index, Split split) const {
  return make_scene(config_, emoji_, seed, index, split);
}

EmojiData::Example EmojiData::example(uint64_t seed, int64_t index, Split split) const {
  const Scene made = scene(seed, index, split);
  Tensor image = draw_scene(made, emoji_, font_, config_.image_size);
  std::string caption = make_caption(made, emoji_, seed, index);
  return {std::move(image), std::move(caption), made};
}

}  // namespace fourstep
