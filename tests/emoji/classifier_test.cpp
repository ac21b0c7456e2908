#include "emoji/classifier.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "emoji/classifier_training.h"
#include "train/optimizer.h"
#include "train/random.h"

namespace fourstep {
namespace {

ClassifierConfig small_config() {
  return {.num_emoji = 3,
          .channels = {16, 16},
          .blocks = {0, 1},
          .hidden = 32,
          .emoji_features = 8,
          .scene_features = 8};
}

/// 50 where a label has a 1, else 0: answers that are sure.
Tensor sure(const std::vector<int64_t>& answers, int64_t count) {
  return 50.0 * at::one_hot(at::tensor(answers, torch::kInt64), count).to(torch::kFloat32);
}

ClassifierOutput sure_output() {
  ClassifierOutput output;
  output.first = sure({2, 0}, 3);
  output.second = sure({3, 1}, 4);
  output.arrangement = sure({0, 2}, kNumArrangements);
  output.kind = sure({0, 1}, kNumBackgroundKinds);
  output.colors = sure({7, 9}, 12) + sure({7, 4}, 12);
  return output;
}

TEST(Classifier, AnswersBecomeLabels) {
  const std::vector<SceneLabels> labels = labels_from_output(sure_output());
  EXPECT_EQ(labels[0], (SceneLabels{2, -1, Arrangement::kSingle, BackgroundKind::kPlain, 7, 7}));
  EXPECT_EQ(labels[1], (SceneLabels{0, 1, Arrangement::kStacked, BackgroundKind::kGradient, 4, 9}));
}

TEST(Classifier, RightAndSureAnswersCostOnlyTheChoiceBetweenTwoColors) {
  const ClassifierOutput output = sure_output();
  std::vector<SceneLabels> labels = labels_from_output(output);
  // Two colours of equal height: ln 2 for that picture, nothing for the other.
  EXPECT_NEAR(classifier_loss(output, labels).item<double>(), std::log(2.0) / 2, 1e-5);
  labels[0].first = 1;
  EXPECT_NEAR(classifier_loss(output, labels).item<double>(), (std::log(2.0) + 50) / 2, 1e-4);
}

TEST(Classifier, LooksAtPicturesOfAnySideReducedToItsOwn) {
  const torch::NoGradGuard no_grad;
  Classifier classifier = make_classifier(small_config(), 1);
  const Tensor small = at::rand({2, 3, kClassifierSidePx, kClassifierSidePx}) * 2 - 1;
  const ClassifierOutput a = classifier->forward(small);
  const ClassifierOutput b = classifier->forward(at::upsample_nearest2d(small, {128, 128}));
  EXPECT_EQ(shape_of(a.features), (Shape{2, 24}));
  EXPECT_EQ(shape_of(a.second), (Shape{2, 4}));
  EXPECT_LT((a.features - b.features).abs().max().item<double>(), 1e-5);
  EXPECT_THROW(classifier->forward(at::zeros({2, 3, 64, 32})), Error);
}

TEST(Classifier, LearnsTwoPicturesByHeart) {
  Classifier classifier = make_classifier(small_config(), 1);
  const NamedTensors parameters = parameters_of(*classifier);
  require_gradients(parameters, true);
  AdamW optimizer(parameters, {.weight_decay = 0});
  const Tensor fading = at::linspace(-1, 1, kClassifierSidePx).expand({3, kClassifierSidePx, -1});
  const Tensor pictures = at::stack({fading, fading.transpose(1, 2)});
  const std::vector<SceneLabels> labels = labels_from_output(sure_output());
  for (int i = 0; i < 60; ++i) {
    classifier_loss(classifier->forward(pictures), labels).backward();
    optimizer.step(5e-3);
  }
  EXPECT_EQ(labels_from_output(classifier->forward(pictures)), labels);
}

TEST(Augment, ChangesEachPictureALittleAndAlwaysAlike) {
  torch::manual_seed(1);
  const Tensor pictures = at::rand({8, 3, 16, 16}) - 0.5;
  const Tensor changed = augment_pictures(pictures, {1, "a", 0});
  EXPECT_TRUE(torch::equal(changed, augment_pictures(pictures, {1, "a", 0})));
  EXPECT_FALSE(torch::equal(changed, augment_pictures(pictures, {1, "a", 1})));
  EXPECT_LE(changed.abs().max().item<double>(), 1);
  const Tensor means = (changed - pictures).mean({2, 3});
  EXPECT_GT(means.abs().min().item<double>(), 0);
  EXPECT_LT(means.abs().max().item<double>(), 0.12 + 0.06 + 0.2 * 0.5);
}

TEST(Augment, LeavesPlainPicturesPlainButForTheNoise) {
  const Tensor changed = augment_pictures(at::zeros({4, 3, 32, 32}), {1, "a", 0});
  EXPECT_LT(changed.std(std::vector<int64_t>{2, 3}, true).max().item<double>(), 0.13);
}

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
