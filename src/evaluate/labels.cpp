#include "evaluate/labels.h"

namespace fourstep {

namespace {

/// The number of true among those that were judged, as a share.
template <typename Part>
std::optional<double> share_of(const std::vector<Judgement>& judgements, const Part& part) {
  int64_t judged = 0, right = 0;
  for (const Judgement& one : judgements) {
    const std::optional<bool> answer = part(one);
    judged += answer.has_value() ? 1 : 0;
    right += answer.value_or(false) ? 1 : 0;
  }
  if (judged == 0) return std::nullopt;
  return static_cast<double>(right) / static_cast<double>(judged);
}

bool is_same_pair(const SceneLabels& a, const SceneLabels& b) {
  return std::minmax(a.first, a.second) == std::minmax(b.first, b.second);
}

bool is_swapped(const SceneLabels& asked, const SceneLabels& seen) {
  return seen.first == asked.second || seen.second == asked.first;
}

}  // namespace

SceneLabels labels_of(const Scene& scene) {
  SceneLabels labels;
  labels.first = scene.first.emoji;
  if (scene.second) labels.second = scene.second->emoji;
  const Relation relation = scene.relation;
  if (relation == Relation::kRightOf || relation == Relation::kBelow) {
    std::swap(labels.first, labels.second);
  }
  if (relation != Relation::kNone) {
    const bool is_stacked = relation == Relation::kAbove || relation == Relation::kBelow;
    labels.arrangement = is_stacked ? Arrangement::kStacked : Arrangement::kSideBySide;
  }
  const Background& background = scene.background;
  labels.kind = background.kind;
  labels.color = std::min(background.color, background.color_2);
  labels.color_2 = std::max(background.color, background.color_2);
  return labels;
}

Judgement judge(const SceneLabels& asked, const SceneLabels& seen) {
  Judgement judgement;
  judgement.emoji = is_same_pair(asked, seen);
  if (asked.second >= 0) {
    judgement.relation = seen.arrangement == asked.arrangement && !is_swapped(asked, seen);
  }
  judgement.background =
      asked.kind == seen.kind && asked.color == seen.color && asked.color_2 == seen.color_2;
  return judgement;
}

Accuracy accuracy_of(const std::vector<Judgement>& judgements) {
  using Answer = std::optional<bool>;
  return {share_of(judgements, [](const Judgement& one) -> Answer { return one.emoji; }),
          share_of(judgements, [](const Judgement& one) -> Answer { return one.background; }),
          share_of(judgements, [](const Judgement& one) -> Answer { return one.relation; }),
          share_of(judgements, [](const Judgement& one) -> Answer { return one.all(); })};
}

}  // namespace fourstep
