#pragma once
// Distilling models of drawn emoji: the student is asked for scenes, the discriminator compares
// with pictures of them.

#include "distill/sources.h"
#include "distill/trainer.h"
#include "emoji/emoji_options.h"

namespace fourstep {

struct EmojiDistillConfig {
  DistillConfig common;
  bool emoji = false;
  EmojiSettings settings;
};

template <typename AnyConfig, typename Visitor>
void visit_fields(AnyConfig& c, Visitor&& visit) requires
    std::same_as<std::remove_const_t<AnyConfig>, EmojiDistillConfig> {
  visit_fields(c.common, visit);
  visit(FieldInfo{"emoji", "prompts are captions of drawn emoji, at their size"}, c.emoji);
  visit_fields(c.settings, visit);
}

/// Real pictures for the discriminator: latents of drawn scenes and the captions of those scenes.
class EmojiLatents {
 public:
  /// file: latents.safetensors of "train". Its metadata says which scenes the rows show, so
  /// captions are right whatever scenes the distillation itself asks for. side: of the pictures, in
  /// px. emoji_pack: as in open_emoji_data().
  /// Throws Error naming the file when it is missing, has no latents of that size, or does not say
  /// what they show.
  EmojiLatents(const std::filesystem::path& file, const std::filesystem::path& emoji_pack,
               int64_t side);

  /// `count` random rows; they and the wordings depend on the arguments alone.
  RealBatch batch(uint64_t seed, int64_t iteration, int64_t count) const;

 private:
  struct Content {
    Tensor latents;
    EmojiData data;
    uint64_t data_seed;  ///< of the scenes
  };
  static Content read(const std::filesystem::path& file, const std::filesystem::path& emoji_pack,
                      int64_t side);

  Content content_;
};

/// Captions of scenes that training does not use. Throws as open_emoji_data() and EmojiLatents, and
/// InvalidRequest for a GAN without --real-latents.
DistillSources emoji_sources(const EmojiDistillConfig& config);

/// That, or sources_from_files() where config.emoji is off. Throws InvalidRequest when an option of
/// emoji is given without --emoji, or one of files with it. `models` and `config` must outlive the
/// result.
SourcesOpener sources_opener(Models& models, const EmojiDistillConfig& config);

}  // namespace fourstep
