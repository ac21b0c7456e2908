#include "data/emoji_pack.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "base/error.h"
#include "base/fields.h"
#include "data/emoji_choice.h"
#include "io/safetensors.h"

namespace fourstep {

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

}  // namespace fourstep
