#include "distill/real_latents.h"

#include "base/error.h"
#include "data/emoji_pack.h"
#include "io/safetensors.h"
#include "train/random.h"

namespace fourstep {

namespace {

Tensor latents_of(const TensorFile& file, const std::string& path) {
  const auto found = file.tensors.find("latents");
  if (found == file.tensors.end() || found->second.dim() != 4) {
    throw Error(
        "\"{}\" has no tensor \"latents\" of four dimensions; \"fourstep train\" writes such files",
        path);
  }
  return found->second.clone();
}

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

RealLatents::Content RealLatents::read(const std::filesystem::path& file,
                                       const std::filesystem::path& emoji_pack) {
  const std::string path = file.string();
  const TensorFile opened = open_safetensors(path);
  const Tensor latents = latents_of(opened, path);
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

RealLatents::RealLatents(const std::filesystem::path& file, const std::filesystem::path& emoji_pack)
    : content_(read(file, emoji_pack)) {}

RealLatents::Batch RealLatents::batch(uint64_t seed, int64_t iteration, int64_t count) const {
  const auto& [latents, data, data_seed] = content_;
  const Tensor rows = draw_integers({seed, "real", iteration}, 0, latents.size(0), count);
  Batch batch{latents.index_select(0, rows).to(torch::kFloat32), {}};
  for (int64_t j = 0; j < count; ++j) {
    const auto row = rows[j].item<int64_t>();
    const Scene scene = data.scene(data_seed, row, Split::kTraining);
    // Another wording than in training.
    batch.captions.push_back(make_caption(scene, data.emoji(), seed + 3, row));
  }
  return batch;
}

}  // namespace fourstep
