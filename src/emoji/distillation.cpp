#include "emoji/distillation.h"

#include "base/error.h"
#include "io/safetensors.h"
#include "train/random.h"

namespace fourstep {

namespace {

constexpr int64_t kExampleSeed =
    7;  // that of training's sheets, so that they can be laid side by side

/// Reads one of the settings of "train" that the file was written with.
template <typename Value>
void read_setting(const Metadata& metadata, const FieldInfo& info, const std::string& path,
                  Value& value) {
  const auto found = metadata.find(std::string(info.name));
  if (found == metadata.end()) {
    throw Error(
        "\"{}\" does not say which scenes its latents show (no \"{}\" in its metadata); let "
        "\"fourstep train\" write it anew",
        path, info.name);
  }
  value_from_text(info, found->second, value);
}

}  // namespace

EmojiLatents::Content EmojiLatents::read(const std::filesystem::path& file,
                                         const std::filesystem::path& emoji_pack, int64_t side) {
  const std::string path = file.string();
  const TensorFile opened = open_safetensors(path);
  const Tensor latents = latents_of_file(opened, side);
  SceneConfig scenes;
  visit_fields(scenes, [&](const FieldInfo& info, auto& value) {
    read_setting(opened.metadata, info, path, value);
  });
  std::string groups;
  read_setting(opened.metadata, {"emoji_groups", ""}, path, groups);
  uint64_t seed = 0;
  read_setting(opened.metadata, {"seed", ""}, path, seed);
  return {latents, open_emoji_data(scenes, groups, emoji_pack), seed};
}

EmojiLatents::EmojiLatents(const std::filesystem::path& file,
                           const std::filesystem::path& emoji_pack, int64_t side)
    : content_(read(file, emoji_pack, side)) {}

RealBatch EmojiLatents::batch(uint64_t seed, int64_t iteration, int64_t count) const {
  const auto& [latents, data, data_seed] = content_;
  const Tensor rows = draw_integers({seed, "real", iteration}, 0, latents.size(0), count);
  RealBatch batch{latents.index_select(0, rows).to(torch::kFloat32), {}};
  for (int64_t j = 0; j < count; ++j) {
    const auto row = rows[j].item<int64_t>();
    const Scene scene = data.scene(data_seed, row, Split::kTraining);
    // Another wording than in training.
    batch.captions.push_back(make_caption(scene, data.emoji(), seed + 3, row));
  }
  return batch;
}

DistillSources emoji_sources(const EmojiDistillConfig& config) {
  const DistillConfig& common = config.common;
  const auto data =
      std::make_shared<const EmojiData>(open_emoji_data(config.settings, common.model));
  DistillSources sources{.side = config.settings.scenes.image_size};
  sources.prompts = [data, seed = common.seed + 2, batch = common.batch](int64_t iteration) {
    // Scenes of a seed that training does not use; their captions as in training.
    std::vector<std::string> prompts;
    for (int64_t j = 0; j < batch; ++j) {
      const int64_t index = iteration * batch + j;
      const Scene scene = data->scene(seed, index, Split::kTraining);
      prompts.push_back(make_caption(scene, data->emoji(), seed, index));
    }
    return prompts;
  };
  sources.examples = [data](int64_t count) {
    std::vector<std::string> examples;
    for (int64_t i = 0; i < count; ++i) {
      examples.push_back(
          main_caption(data->scene(kExampleSeed, i, Split::kTraining), data->emoji()));
    }
    return examples;
  };
  sources.settings = json_from_fields(config.settings);
  sources.settings["emoji"] = true;
  sources.settings["emoji_pack"] =
      std::filesystem::path(config.settings.emoji_pack).filename().string();
  if (common.gan_weight == 0) return sources;
  if (common.real_latents.empty()) {
    throw InvalidRequest("--gan-weight {} needs real pictures: name a file with --real-latents",
                         common.gan_weight);
  }
  const EmojiLatents real(common.real_latents, config.settings.emoji_pack, sources.side);
  sources.real = [real, seed = common.seed, batch = common.batch](int64_t iteration) {
    return real.batch(seed, iteration, batch);
  };
  return sources;
}

SourcesOpener sources_opener(Models& models, const EmojiDistillConfig& config) {
  check_emoji_options(config, {"prompts", "data", "latents", "resolution"});
  return [&models, &config](const Events& events) {
    return config.emoji ? emoji_sources(config) : sources_from_files(models, config.common, events);
  };
}

}  // namespace fourstep
