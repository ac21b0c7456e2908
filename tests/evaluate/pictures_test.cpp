#include "evaluate/pictures.h"

#include <gtest/gtest.h>

#include "data/draw.h"
#include "evaluate/prompts.h"

namespace fourstep {
namespace {

const EmojiData& food() {
  static const EmojiData data({.image_size = 32}, {}, {"Food & Drink"});
  return data;
}

TEST(Pictures, ABatchIsItsScenesDrawn) {
  std::vector<Scene> scenes;
  for (int64_t i = 0; i < 3; ++i) scenes.push_back(food().scene(1, i, Split::kTraining));
  const Tensor images = draw_scenes(food(), scenes, 24);
  EXPECT_EQ(shape_of(images), (Shape{3, 3, 24, 24}));
  for (int64_t i = 0; i < 3; ++i) {
    const Tensor one =
        draw_scene(scenes[static_cast<size_t>(i)], food().emoji(), food().glyph(), 24);
    EXPECT_TRUE(torch::equal(images[i], one));
  }
}

TEST(Pictures, AtHalfTheSideAreTheAveragesOfFourPixels) {
  const Scene scene = food().scene(1, 0, Split::kTraining);
  const Tensor large = draw_scenes(food(), std::span(&scene, 1), 64);
  const Tensor small = draw_scenes(food(), std::span(&scene, 1), 32);
  // Both average the same bitmap over areas; single pixels differ where the bitmap's edge is cut otherwise.
  EXPECT_LT((at::avg_pool2d(large, 2) - small).abs().max().item<double>(), 0.02);
}

TEST(Pictures, ScenesOfACaptionDifferInWhatItDoesNotSay) {
  for (int64_t i = 0; i < 12; ++i) {
    const Scene scene = food().scene(3, i, Split::kTraining);
    const std::vector<Scene> scenes = scenes_of_caption(food(), scene, 3, 9);
    ASSERT_EQ(scenes.size(), 3u);
    EXPECT_EQ(scenes[0], scene);
    EXPECT_NE(scenes[1], scenes[2]);
    for (const Scene& one : scenes) {
      EXPECT_EQ(main_caption(one, food().emoji()), main_caption(scene, food().emoji()));
    }
  }
}

TEST(Prompts, SetsShareNoSceneAndNoSeed) {
  EvaluateConfig config;
  config.samples = 5;
  config.prompts = 3;
  config.diversity_prompts = 2;
  config.diversity_samples = 4;
  const PromptSets sets = make_prompt_sets(food(), config);
  EXPECT_EQ(sets.seen.count(), 5);
  EXPECT_EQ(sets.held_out.count(), 3);
  EXPECT_EQ(sets.diversity.count(), 8);
  EXPECT_EQ(sets.reference.count(), 5);
  for (const Scene& one : sets.held_out.scenes) {
    EXPECT_TRUE(is_held_out(food().config(), food().emoji(), one));
  }
  for (const Scene& one : sets.seen.scenes) {
    EXPECT_FALSE(is_held_out(food().config(), food().emoji(), one));
    for (const Scene& other : sets.reference.scenes) EXPECT_NE(one, other);
  }
  EXPECT_EQ(sets.diversity.captions[0], sets.diversity.captions[3]);
  EXPECT_NE(sets.diversity.captions[3], sets.diversity.captions[4]);
  EXPECT_GE(sets.held_out.first_seed, sets.seen.first_seed + 5);
}

TEST(Prompts, WithoutSamplesThereIsNothingToCompareWith) {
  EvaluateConfig config;
  config.samples = 0;
  config.prompts = 3;
  config.diversity_prompts = 0;
  const PromptSets sets = make_prompt_sets(food(), config);
  EXPECT_EQ(sets.seen.count(), 3);
  EXPECT_EQ(sets.reference.count(), 0);
  EXPECT_EQ(sets.diversity.count(), 0);
}

}  // namespace
}  // namespace fourstep
