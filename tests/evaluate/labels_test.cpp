#include "evaluate/labels.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

Scene pair_scene(Relation relation) {
  Scene scene;
  scene.first.emoji = 7;
  scene.second = Placed{3};
  scene.relation = relation;
  return scene;
}

TEST(Labels, ARelationReadsTheSameFromEitherSide) {
  const SceneLabels left = labels_of(pair_scene(Relation::kLeftOf));
  EXPECT_EQ(left.first, 7);
  EXPECT_EQ(left.second, 3);
  EXPECT_EQ(left.arrangement, Arrangement::kSideBySide);
  const SceneLabels right = labels_of(pair_scene(Relation::kRightOf));
  EXPECT_EQ(right.first, 3);
  EXPECT_EQ(right.second, 7);
  EXPECT_EQ(right.arrangement, Arrangement::kSideBySide);
  EXPECT_EQ(labels_of(pair_scene(Relation::kAbove)).first, 7);
  EXPECT_EQ(labels_of(pair_scene(Relation::kBelow)).first, 3);
  EXPECT_EQ(labels_of(pair_scene(Relation::kBelow)).arrangement, Arrangement::kStacked);
}

TEST(Labels, TheEndsOfABackgroundAreNotJudged) {
  Scene scene;
  scene.first.emoji = 5;
  scene.background = {BackgroundKind::kGradient, 9, 2, true};
  const SceneLabels labels = labels_of(scene);
  EXPECT_EQ(labels.second, -1);
  EXPECT_EQ(labels.color, 2);
  EXPECT_EQ(labels.color_2, 9);
  scene.background = {BackgroundKind::kGradient, 2, 9, false};
  EXPECT_EQ(labels_of(scene), labels);
}

TEST(Labels, EachPartIsJudgedOnItsOwn) {
  const SceneLabels asked{1, 2, Arrangement::kSideBySide, BackgroundKind::kPlain, 4, 4};
  EXPECT_TRUE(judge(asked, asked).all());

  SceneLabels swapped = asked;
  std::swap(swapped.first, swapped.second);
  EXPECT_TRUE(judge(asked, swapped).emoji);
  EXPECT_EQ(judge(asked, swapped).relation, false);
  EXPECT_FALSE(judge(asked, swapped).all());

  SceneLabels other = asked;
  other.second = 6;
  EXPECT_FALSE(judge(asked, other).emoji);
  EXPECT_EQ(judge(asked, other).relation, true);  // the one that is there is on its side

  SceneLabels stacked = asked;
  stacked.arrangement = Arrangement::kStacked;
  EXPECT_TRUE(judge(asked, stacked).emoji);
  EXPECT_EQ(judge(asked, stacked).relation, false);

  SceneLabels blue = asked;
  blue.color_2 = 5;
  EXPECT_TRUE(judge(asked, blue).emoji);
  EXPECT_FALSE(judge(asked, blue).background);
}

TEST(Labels, ASingleEmojiHasNoRelationAndMustBeAlone) {
  const SceneLabels asked{1, -1};
  EXPECT_EQ(judge(asked, asked).relation, std::nullopt);
  EXPECT_TRUE(judge(asked, asked).all());
  EXPECT_FALSE(judge(asked, {1, 2, Arrangement::kSideBySide}).emoji);
}

TEST(Labels, AccuracyCountsRelationsAmongPairsAlone) {
  const Accuracy accuracy = accuracy_of({{true, std::nullopt, true},
                                         {true, true, false},
                                         {false, false, true},
                                         {true, std::nullopt, true}});
  EXPECT_DOUBLE_EQ(*accuracy.emoji, 0.75);
  EXPECT_DOUBLE_EQ(*accuracy.relation, 0.5);
  EXPECT_DOUBLE_EQ(*accuracy.background, 0.75);
  EXPECT_DOUBLE_EQ(*accuracy.all, 0.5);
  EXPECT_EQ(accuracy_of({}).all, std::nullopt);
  EXPECT_EQ(accuracy_of({{true, std::nullopt, true}}).relation, std::nullopt);
}

}  // namespace
}  // namespace fourstep
