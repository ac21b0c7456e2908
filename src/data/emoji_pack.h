#pragma once
// Names and pictures of emoji in one file, for machines that have neither the font nor Unicode's lists.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/emoji_data.h"

namespace fourstep {

struct EmojiPack {
  std::vector<Emoji> emoji;           ///< in the order of the list that they are from
  std::map<char32_t, Tensor> glyphs;  ///< uint8 [h,w,4], as of a GlyphSource
};

/// A safetensors file with the emoji of `data`: a tensor "0007 U+1F355" for each, and under the same name in the
/// metadata "name|group|subgroup|keyword|...".
void write_emoji_pack(const std::filesystem::path& path, const EmojiData& data);

/// Tensors are views of the mapped file. Throws Error naming the file when it is no such pack.
EmojiPack read_emoji_pack(const std::filesystem::path& path);

/// The data set of `groups` (groups, subgroups or names of emoji, separated by ';') from `pack`, or from Debian's files
/// where it is empty. The keywords of a pack are those of its own groups: the same data needs a pack of the same groups.
/// Throws as EmojiData and read_emoji_pack do, and Error when the pack lacks a group.
EmojiData open_emoji_data(const SceneConfig& scenes, const std::string& groups,
                          const std::filesystem::path& pack);

/// The emoji that prompts for a model are about.
struct EmojiSettings {
  std::string emoji_groups = {};
  std::string emoji_pack = {};
  SceneConfig scenes = {};
};

template <typename AnySettings, typename Visitor>
void visit_fields(AnySettings& s, Visitor&& visit) requires
    std::same_as<std::remove_const_t<AnySettings>, EmojiSettings> {
  using Info = FieldInfo;
  visit(
      Info{"emoji_groups", "emoji of the prompts, as for train; those of the model when not given"},
      s.emoji_groups);
  visit(Info{"emoji_pack",
             "file with names and pictures of the emoji (train --export-emoji); Debian's font and "
             "lists when not given"},
        s.emoji_pack);
  visit_fields(s.scenes, visit);
}

/// Groups that are not given are those of `model` (a path; may be empty). Throws as above, and InvalidRequest when a
/// field is out of its range.
EmojiData open_emoji_data(const EmojiSettings& settings, const std::filesystem::path& model);

}  // namespace fourstep
