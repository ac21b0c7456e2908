#pragma once
// Scenes drawn in batches, and other scenes behind the same caption.

#include <span>
#include <vector>

#include "base/tensor.h"
#include "data/emoji_data.h"

namespace fourstep {

/// [B,3,side,side] fp32 in [-1,1]; drawn in parallel.
Tensor draw_scenes(const EmojiData& data, std::span<const Scene> scenes, int64_t side);

/// `count` scenes with the same main_caption() as `scene`, itself first: other places and sizes within what the caption
/// says, mirrored or not, backgrounds turned. What the data set shows for one prompt, so the measure of diversity.
/// Places are taken from scenes 0, 1, ... of the stream `seed`.
/// Throws Error when 100000 scenes have not enough of them.
std::vector<Scene> scenes_of_caption(const EmojiData& data, const Scene& scene, int64_t count,
                                     uint64_t seed);

}  // namespace fourstep
