#pragma once
// What a drawn picture can be judged by: the parts of a scene that its caption tells and a classifier can see.

#include <cstdint>
#include <optional>
#include <vector>

#include "data/scene.h"

namespace fourstep {

/// How the emoji of a picture stand. Captions tell a relation from either side ("a left of b", "b right of a") and
/// the picture is the same, so there are three answers to the five relations of a scene.
enum class Arrangement { kSingle, kSideBySide, kStacked };
constexpr int64_t kNumArrangements = 3;
constexpr int64_t kNumBackgroundKinds = 3;

/// One picture, as it was asked for or as a classifier sees it.
struct SceneLabels {
  int64_t first = 0;    ///< index into the list of emoji; the left or upper one of a pair
  int64_t second = -1;  ///< -1: there is none
  Arrangement arrangement = Arrangement::kSingle;
  BackgroundKind kind = BackgroundKind::kPlain;
  /// Indices into background_colors(), the smaller one first: captions do not say which end is which. Equal where
  /// the background is plain.
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

}  // namespace fourstep
