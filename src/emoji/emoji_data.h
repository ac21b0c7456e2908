#pragma once
// The data set of drawn emoji: pictures with captions, without end, made on demand from (seed,
// index).

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "emoji/caption.h"
#include "emoji/draw.h"
#include "emoji/emoji_sources.h"
#include "emoji/scene.h"

namespace fourstep {

/// Emoji, their pictures and configuration. Constant after construction; its functions may be
/// called from several threads.
class EmojiData {
 public:
  struct Example {
    Tensor image;  ///< [3,image_size,image_size] fp32 in [-1,1]
    std::string caption;
    Scene scene;
  };

  /// groups: as in read_emoji_list(). Throws Error when a file is missing or broken or the font
  /// lacks an emoji, InvalidRequest when the configuration is out of range.
  EmojiData(const SceneConfig& config, const EmojiSources& sources,
            const std::vector<std::string>& groups);

  /// emoji: names and keywords of the data set; glyph: has a picture of each.
  EmojiData(const SceneConfig& config, std::vector<Emoji> emoji, GlyphSource glyph);

  int64_t count() const { return static_cast<int64_t>(emoji_.size()); }  ///< of emoji
  std::span<const Emoji> emoji() const { return emoji_; }
  const SceneConfig& config() const { return config_; }
  const GlyphSource& glyph() const { return glyph_; }

  /// make_scene(), and the same with its picture and make_caption(); main_caption() is the plain
  /// alternative.
  Scene scene(uint64_t seed, int64_t index, Split split) const;
  Example example(uint64_t seed, int64_t index, Split split) const;

 private:
  SceneConfig config_;
  std::vector<Emoji> emoji_;
  GlyphSource glyph_;
};

// Names and pictures of emoji in one file, for machines that have neither the font nor Unicode's
// lists.

struct EmojiPack {
  std::vector<Emoji> emoji;           ///< in the order of the list that they are from
  std::map<char32_t, Tensor> glyphs;  ///< uint8 [h,w,4], as of a GlyphSource
};

/// A safetensors file with the emoji of `data`: a tensor "0007 U+1F355" for each, and under the
/// same name in the metadata "name|group|subgroup|keyword|...".
void write_emoji_pack(const std::filesystem::path& path, const EmojiData& data);

/// Tensors are views of the mapped file. Throws Error naming the file when it is no such pack.
EmojiPack read_emoji_pack(const std::filesystem::path& path);

/// The data set of `groups` (groups, subgroups or names of emoji, separated by ';') from `pack`, or
/// from Debian's files where it is empty. The keywords of a pack are those of its own groups: the
/// same data needs a pack of the same groups.
/// Throws as EmojiData and read_emoji_pack do, and Error when the pack lacks a group.
EmojiData open_emoji_data(const SceneConfig& scenes, const std::string& groups,
                          const std::filesystem::path& pack);

// Scenes drawn in batches, and other scenes behind the same caption.

/// [B,3,side,side] fp32 in [-1,1]; drawn in parallel.
Tensor draw_scenes(const EmojiData& data, std::span<const Scene> scenes, int64_t side);

/// `count` scenes with the same main_caption() as `scene`, itself first: other places and sizes
/// within what the caption says, mirrored or not, backgrounds turned. What the data set shows for
/// one prompt, so the measure of diversity. Places are taken from scenes 0, 1, ... of the stream
/// `seed`.
/// Throws Error when 100000 scenes have not enough of them.
std::vector<Scene> scenes_of_caption(const EmojiData& data, const Scene& scene, int64_t count,
                                     uint64_t seed);

}  // namespace fourstep
