#include "emoji/emoji_data.h"

#include <fmt/format.h>
#include <charconv>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/fields.h"
#include "base/parallel.h"
#include "emoji/draw.h"
#include "emoji/emoji_list.h"
#include "emoji/emoji_sources.h"
#include "io/safetensors.h"

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

namespace {

constexpr std::string_view kCodeMark = " U+";
constexpr size_t kNumFixedWords = 3;  // name, group, subgroup

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& key) {
  throw Error(
      "read_emoji_pack(\"{}\"): \"{}\" is not an emoji with its picture; make the file with "
      "\"fourstep train --export-emoji\"",
      path.string(), key);
}

/// The code point in a name such as "0007 U+1F355"; 0 where there is none.
char32_t code_of(std::string_view key) {
  const size_t mark = key.find(kCodeMark);
  if (mark == std::string_view::npos) return 0;
  const std::string_view digits = key.substr(mark + kCodeMark.size());
  uint32_t code = 0;
  const auto [end, failure] =
      std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
  return failure == std::errc() && end == digits.data() + digits.size() ? code : 0;
}

bool is_glyph(const Tensor& tensor) {
  return tensor.scalar_type() == torch::kUInt8 && tensor.dim() == 3 && tensor.size(2) == 4 &&
         tensor.numel() > 0;
}

Emoji emoji_from_words(char32_t code, std::vector<std::string> words) {
  Emoji emoji{code, std::move(words[0]), {}, std::move(words[1]), std::move(words[2])};
  emoji.keywords.assign(words.begin() + kNumFixedWords, words.end());
  return emoji;
}

/// Those that are wanted, in their order. Throws Error for a name that no emoji has.
std::vector<Emoji> wanted_of(const EmojiPack& pack, const std::vector<std::string>& wanted,
                             const std::filesystem::path& path) {
  std::vector<Emoji> chosen = pack.emoji;
  if (const auto missing = keep_wanted(chosen, wanted)) {
    throw Error(
        "\"{}\" has no emoji of the group, subgroup or name \"{}\"; make one with it by \"fourstep "
        "train --emoji-groups GROUPS --export-emoji FILE\"",
        path.string(), *missing);
  }
  return chosen;
}

}  // namespace

void write_emoji_pack(const std::filesystem::path& path, const EmojiData& data) {
  NamedTensors glyphs;
  std::map<std::string, std::string> words;
  for (size_t i = 0; i < data.emoji().size(); ++i) {
    const Emoji& emoji = data.emoji()[i];
    const std::string key =
        fmt::format("{:04}{}{:04X}", i, kCodeMark, static_cast<uint32_t>(emoji.code));
    glyphs[key] = data.glyph()(emoji.code);
    words[key] = fmt::format("{}|{}|{}", emoji.name, emoji.group, emoji.subgroup);
    for (const std::string& keyword : emoji.keywords) words[key] += "|" + keyword;
  }
  write_safetensors(path, glyphs, words);
}

EmojiPack read_emoji_pack(const std::filesystem::path& path) {
  const TensorFile file = open_safetensors(path);
  EmojiPack pack;
  for (const auto& [key, glyph] : file.tensors) {
    const char32_t code = code_of(key);
    const auto text = file.metadata.find(key);
    if (code == 0 || text == file.metadata.end() || !is_glyph(glyph)) refuse(path, key);
    std::vector<std::string> words = split_text(text->second, '|');
    if (words.size() < kNumFixedWords) refuse(path, key);
    pack.emoji.push_back(emoji_from_words(code, std::move(words)));
    pack.glyphs[code] = glyph;
  }
  if (pack.emoji.empty()) refuse(path, "an empty file");
  return pack;
}

EmojiData open_emoji_data(const SceneConfig& scenes, const std::string& groups,
                          const std::filesystem::path& pack) {
  const std::vector<std::string> names = split_text(groups, ';');
  if (pack.empty()) return EmojiData(scenes, EmojiSources(), names);
  const EmojiPack read = read_emoji_pack(pack);
  // Every emoji of the list has its picture.
  return EmojiData(scenes, wanted_of(read, names, pack),
                   [glyphs = read.glyphs](char32_t code) { return glyphs.at(code); });
}

EmojiData open_emoji_data(const EmojiSettings& settings, const std::filesystem::path& model) {
  return open_emoji_data(settings.scenes, emoji_groups_of(settings.emoji_groups, model),
                         settings.emoji_pack);
}

namespace {

constexpr int64_t kMaxAttempts = 100000;

/// The emoji and colours of `what` in the places of `where`; nothing when `where` has another
/// number of emoji.
std::optional<Scene> with_places_of(const Scene& what, const Scene& where) {
  if (what.relation != where.relation) return std::nullopt;
  Scene scene = where;
  scene.first.emoji = what.first.emoji;
  if (scene.second) scene.second->emoji = what.second->emoji;
  scene.background = what.background;
  if (what.background.kind != BackgroundKind::kPlain) {
    scene.background.is_vertical = where.background.is_vertical;
  }
  return scene;
}

}  // namespace

Tensor draw_scenes(const EmojiData& data, std::span<const Scene> scenes, int64_t side) {
  std::vector<Tensor> images(scenes.size());
  parallel_for(static_cast<int64_t>(scenes.size()), 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const auto at = static_cast<size_t>(i);
      images[at] = draw_scene(scenes[at], data.emoji(), data.glyph(), side);
    }
  });
  return at::stack(images);
}

std::vector<Scene> scenes_of_caption(const EmojiData& data, const Scene& scene, int64_t count,
                                     uint64_t seed) {
  const std::string caption = main_caption(scene, data.emoji());
  std::vector<Scene> scenes{scene};
  for (int64_t i = 0; i < kMaxAttempts && static_cast<int64_t>(scenes.size()) < count; ++i) {
    const auto other = with_places_of(scene, data.scene(seed, i, Split::kTraining));
    if (other && main_caption(*other, data.emoji()) == caption) scenes.push_back(*other);
  }
  if (static_cast<int64_t>(scenes.size()) < count) {
    throw Error("scenes_of_caption: \"{}\" has {} of {} scenes in {} tries; ask for fewer", caption,
                scenes.size(), count, kMaxAttempts);
  }
  scenes.resize(static_cast<size_t>(std::max<int64_t>(count, 0)));
  return scenes;
}

}  // namespace fourstep
