#include "evaluate/prompts.h"

#include "evaluate/pictures.h"
#include "train/random.h"

namespace fourstep {

namespace {

/// Noise seeds of different sets do not meet: torch's generator keeps 32 bits of them.
constexpr uint64_t kSeedsPerSet = uint64_t{1} << 24;

std::vector<Scene> scenes_of_stream(const EmojiData& data, uint64_t stream, int64_t count,
                                    Split split) {
  std::vector<Scene> scenes;
  for (int64_t i = 0; i < count; ++i) scenes.push_back(data.scene(stream, i, split));
  return scenes;
}

std::vector<Scene> diversity_scenes(const EmojiData& data, const EvaluateConfig& config) {
  const uint64_t stream = hash_of({config.seed, "diversity scenes", 0});
  const uint64_t places = hash_of({config.seed, "diversity places", 0});
  std::vector<Scene> scenes;
  for (int64_t i = 0; i < config.diversity_prompts; ++i) {
    const Scene scene = data.scene(stream, i, Split::kTraining);
    for (const Scene& one : scenes_of_caption(data, scene, config.diversity_samples, places)) {
      scenes.push_back(one);
    }
  }
  return scenes;
}

PromptSet make_set(const EmojiData& data, const std::string& name, std::vector<Scene> scenes) {
  PromptSet set;
  set.name = name;
  set.scenes = std::move(scenes);
  for (const Scene& scene : set.scenes) set.captions.push_back(main_caption(scene, data.emoji()));
  return set;
}

}  // namespace

PromptSets make_prompt_sets(const EmojiData& data, const EvaluateConfig& config) {
  const auto stream = [&](const char* name, int64_t count, Split split) {
    return scenes_of_stream(data, hash_of({config.seed, name, 0}), count, split);
  };
  const int64_t num_seen = std::max(config.samples, config.prompts);
  const int64_t num_reference = config.samples > 0 ? num_seen : 0;
  const int64_t num_held_out = data.config().held_out_percent > 0 ? config.prompts : 0;
  PromptSets sets;
  sets.seen = make_set(data, "seen", stream("seen scenes", num_seen, Split::kTraining));
  sets.held_out =
      make_set(data, "held out", stream("held-out scenes", num_held_out, Split::kHeldOut));
  sets.diversity = make_set(data, "diversity", diversity_scenes(data, config));
  sets.diversity.per_caption = config.diversity_samples;
  sets.reference =
      make_set(data, "reference", stream("reference scenes", num_reference, Split::kTraining));
  uint64_t first_seed = config.seed;
  for (PromptSet* set : {&sets.seen, &sets.held_out, &sets.diversity, &sets.reference}) {
    set->first_seed = first_seed;
    first_seed += kSeedsPerSet;
  }
  return sets;
}

}  // namespace fourstep
