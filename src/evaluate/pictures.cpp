#include "evaluate/pictures.h"

#include "base/error.h"
#include "base/parallel.h"
#include "data/draw.h"

namespace fourstep {

namespace {

constexpr int64_t kMaxAttempts = 100000;

/// The emoji and colours of `what` in the places of `where`; nothing when `where` has another number of emoji.
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
