#include "data/emoji_data.h"

#include <memory>
#include <utility>

#include "base/error.h"
#include "data/emoji_font.h"

namespace fourstep {

EmojiData::EmojiData(const SceneConfig& config, const EmojiSources& sources,
                     const std::vector<std::string>& groups)
    : EmojiData(config, read_emoji_list(sources, groups), {}) {
  const auto font = std::make_shared<EmojiFont>(sources.font);
  for (const Emoji& one : emoji_) {
    if (font->has(one.code)) continue;
    throw Error(
        "EmojiData: the font \"{}\" has no \"{}\" (U+{:04X}); update the Debian package "
        "fonts-noto-color-emoji",
        sources.font.string(), one.name, static_cast<uint32_t>(one.code));
  }
  glyph_ = [font](char32_t code) { return font->glyph(code); };
}

EmojiData::EmojiData(const SceneConfig& config, std::vector<Emoji> emoji, GlyphSource glyph)
    : config_(config), emoji_(std::move(emoji)), glyph_(std::move(glyph)) {
  validate(config_);
}

Scene EmojiData::scene(uint64_t seed, int64_t index, Split split) const {
  return make_scene(config_, emoji_, seed, index, split);
}

EmojiData::Example EmojiData::example(uint64_t seed, int64_t index, Split split) const {
  const Scene made = scene(seed, index, split);
  Tensor image = draw_scene(made, emoji_, glyph_, config_.image_size);
  std::string caption = make_caption(made, emoji_, seed, index);
  return {std::move(image), std::move(caption), made};
}

}  // namespace fourstep
