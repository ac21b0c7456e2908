#pragma once
// What a drawn picture can be judged by: the parts of a scene that its caption tells and a
// classifier can see.

#include <cstdint>
#include <optional>
#include <vector>

#include "emoji/scene.h"
#include "layers/layers.h"
#include "layers/module_list.h"

namespace fourstep {

/// How the emoji of a picture stand. Captions tell a relation from either side ("a left of b", "b
/// right of a") and the picture is the same, so there are three answers to the five relations of a
/// scene.
enum class Arrangement { kSingle, kSideBySide, kStacked };
constexpr int64_t kNumArrangements = 3;
constexpr int64_t kNumBackgroundKinds = 3;

/// One picture, as it was asked for or as a classifier sees it.
struct SceneLabels {
  int64_t first = 0;    ///< index into the list of emoji; the left or upper one of a pair
  int64_t second = -1;  ///< -1: there is none
  Arrangement arrangement = Arrangement::kSingle;
  BackgroundKind kind = BackgroundKind::kPlain;
  /// Indices into background_colors(), the smaller one first: captions do not say which end is
  /// which. Equal where the background is plain.
  int64_t color = 0, color_2 = 0;

  bool operator==(const SceneLabels&) const = default;
};

SceneLabels labels_of(const Scene& scene);

/// Which parts of what was asked for a picture shows.
struct Judgement {
  bool emoji = false;            ///< these emoji and no others, wherever they are
  std::optional<bool> relation;  ///< of pairs: that arrangement, and not the other way round
  bool background = false;       ///< kind and colours

  bool all() const { return emoji && background && relation.value_or(true); }
};

Judgement judge(const SceneLabels& asked, const SceneLabels& seen);

/// Shares of right answers, 0..1; relation: of the pairs alone. Nothing where nothing was judged.
struct Accuracy {
  std::optional<double> emoji, background, relation, all;
};

Accuracy accuracy_of(const std::vector<Judgement>& judgements);

// A small convolutional network that tells what a picture of the drawn emoji shows. It judges
// generated pictures, and the numbers before its answers are the space in which Fréchet distance
// and diversity are measured.

struct ClassifierConfig {
  int64_t num_emoji = 0;
  std::vector<int64_t> channels{32, 48, 96};  ///< per level, each half as wide as the one before
  std::vector<int64_t> blocks{0, 1, 2};       ///< residual blocks per level
  int64_t hidden = 192;
  int64_t emoji_features = 40;  ///< of each of the two emoji
  int64_t scene_features = 48;  ///< of everything else
};

/// Pictures are reduced to this side by averaging: an emoji can be told at that size, for a quarter
/// of the work.
constexpr int64_t kClassifierSidePx = 64;

/// Of B pictures: what the answers are read from, and one number per possible answer.
struct ClassifierOutput {
  Tensor features;     ///< [B,2*emoji_features+scene_features]; the answers are linear in them
  Tensor first;        ///< [B,num_emoji]
  Tensor second;       ///< [B,num_emoji+1]; the last: there is none
  Tensor arrangement;  ///< [B,kNumArrangements]
  Tensor kind;         ///< [B,kNumBackgroundKinds]
  Tensor colors;       ///< [B,12]; where there are two colours, both are to be high
};

/// GroupNorm, SiLU and 3x3 convolution, twice, added to the input. Unlike ResBlock it has one group
/// per 16 channels: with 32 groups narrow maps would be normalised channel by channel, and colours
/// lost.
struct ClassifierBlockImpl : nn::Module {
  explicit ClassifierBlockImpl(int64_t channels);
  Tensor forward(const Tensor& x);  ///< [B,channels,h,w] -> the same
  GroupNorm norm1{nullptr}, norm2{nullptr};
  Conv2d conv1{nullptr}, conv2{nullptr};
};
TORCH_MODULE(ClassifierBlock);

/// Convolutions make a map of cells; from its quarters comes what the scene is like and where the
/// first and the second emoji are; a weighted mean of cells around each place tells which emoji it
/// is, with the same weights for both and wherever it stands.
struct ClassifierImpl : nn::Module {
  explicit ClassifierImpl(const ClassifierConfig& config);

  /// pictures: [B,3,S,S] fp32 in [-1,1], S >= kClassifierSidePx.
  ClassifierOutput forward(const Tensor& pictures);

  ClassifierConfig config;
  ModuleList<Conv2d> downs;  ///< stride 2, one per level
  ModuleList<ClassifierBlock> blocks;
  GroupNorm norm_out{nullptr};
  /// Of what is averaged over cells: averages are small, and without these the emoji were not
  /// learned (0.8 % right after 400 steps instead of 13 %).
  LayerNorm quarters_norm{nullptr}, glimpse_norm{nullptr};
  Linear scene{nullptr}, scene_features{nullptr};
  Linear places{nullptr};    ///< what the whole scene says of each cell, for both emoji
  Conv2d salience{nullptr};  ///< what a cell says of itself
  Linear glimpse{nullptr}, emoji_features{nullptr};
  Linear emoji{nullptr}, no_second{nullptr};
  Linear arrangement{nullptr}, kind{nullptr}, colors{nullptr};

 private:
  Tensor cells_of(const Tensor& pictures);                          ///< [B,C,side,side]
  Tensor glimpses_of(const Tensor& cells, const Tensor& overview);  ///< [B,2,C]
};
TORCH_MODULE(Classifier);

/// With first weights, by the seed.
Classifier make_classifier(const ClassifierConfig& config, uint64_t seed);

/// The most likely answer of each picture.
std::vector<SceneLabels> labels_from_output(const ClassifierOutput& output);

/// Mean cross-entropy of all five answers, summed: what training lowers. labels: one per picture.
Tensor classifier_loss(const ClassifierOutput& output, const std::vector<SceneLabels>& labels);

}  // namespace fourstep
