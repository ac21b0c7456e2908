#include "emoji/classifier.h"

#include "train/random.h"

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

namespace {

constexpr int64_t kChannelsPerGroup = 16;
constexpr double kNormEps = 1e-5;
constexpr int64_t kQuarters = 4;  // of the picture: enough to tell how the emoji stand
constexpr int64_t kMostEmoji = 2;

GroupNorm make_norm(int64_t channels) {
  return GroupNorm(std::max<int64_t>(1, channels / kChannelsPerGroup), channels, kNormEps);
}

/// int64 [B] of one number per picture.
template <typename Number>
Tensor targets_of(const std::vector<SceneLabels>& labels, const Number& number) {
  std::vector<int64_t> numbers;
  for (const SceneLabels& one : labels) numbers.push_back(number(one));
  return at::tensor(numbers, torch::kInt64);
}

/// [B,num_colors]: 1 for a plain background's colour, 1/2 for each of two.
Tensor color_targets(const std::vector<SceneLabels>& labels, int64_t num_colors) {
  const auto one_hot = [&](int64_t SceneLabels::*color) {
    const Tensor indices = targets_of(labels, [&](const SceneLabels& one) { return one.*color; });
    return at::one_hot(indices, num_colors).to(torch::kFloat32);
  };
  return 0.5 * (one_hot(&SceneLabels::color) + one_hot(&SceneLabels::color_2));
}

std::vector<int64_t> to_vector(const Tensor& numbers) {
  const Tensor plain = numbers.contiguous();
  const auto* data = plain.const_data_ptr<int64_t>();
  return {data, data + plain.numel()};
}

}  // namespace

ClassifierBlockImpl::ClassifierBlockImpl(int64_t channels) {
  norm1 = register_module("norm1", make_norm(channels));
  conv1 = register_module("conv1", Conv2d(channels, channels));
  norm2 = register_module("norm2", make_norm(channels));
  conv2 = register_module("conv2", Conv2d(channels, channels));
}

Tensor ClassifierBlockImpl::forward(const Tensor& x) {
  return x + conv2(at::silu(norm2(conv1(at::silu(norm1(x))))));
}

ClassifierImpl::ClassifierImpl(const ClassifierConfig& config) : config(config) {
  downs = register_module("downs", make_module_list<Conv2d>());
  blocks = register_module("blocks", make_module_list<ClassifierBlock>());
  int64_t width = 3;
  for (size_t level = 0; level < config.channels.size(); ++level) {
    const int64_t channels = config.channels[level];
    downs->push_back(Conv2d(width, channels, Conv2dOptions{.stride = 2}));
    for (int64_t i = 0; i < config.blocks.at(level); ++i) {
      blocks->push_back(ClassifierBlock(channels));
    }
    width = channels;
  }
  norm_out = register_module("norm_out", make_norm(width));
  quarters_norm = register_module("quarters_norm", LayerNorm(width * kQuarters));
  glimpse_norm = register_module("glimpse_norm", LayerNorm(width));
  scene = register_module("scene", Linear(width * kQuarters, config.hidden));
  scene_features = register_module("scene_features", Linear(config.hidden, config.scene_features));
  const int64_t side = kClassifierSidePx >> config.channels.size();
  places = register_module("places", Linear(config.hidden, kMostEmoji * side * side));
  salience = register_module("salience",
                             Conv2d(width, kMostEmoji, Conv2dOptions{.kernel = 1, .padding = 0}));
  glimpse = register_module("glimpse", Linear(width, config.hidden));
  emoji_features = register_module("emoji_features", Linear(config.hidden, config.emoji_features));
  emoji = register_module("emoji", Linear(config.emoji_features, config.num_emoji));
  no_second = register_module("no_second", Linear(config.scene_features, 1));
  arrangement = register_module("arrangement", Linear(config.scene_features, kNumArrangements));
  kind = register_module("kind", Linear(config.scene_features, kNumBackgroundKinds));
  const auto num_colors = static_cast<int64_t>(background_colors().size());
  colors = register_module("colors", Linear(config.scene_features, num_colors));
}

Tensor ClassifierImpl::cells_of(const Tensor& pictures) {
  Tensor x = pictures;
  if (x.size(-1) != kClassifierSidePx) {
    x = at::_adaptive_avg_pool2d(x, {kClassifierSidePx, kClassifierSidePx});
  }
  x = x.contiguous(at::MemoryFormat::ChannelsLast);
  size_t block = 0;
  for (size_t level = 0; level < downs->size(); ++level) {
    if (level > 0) x = at::silu(x);
    x = (*downs)[level](x);
    for (int64_t i = 0; i < config.blocks[level]; ++i) x = (*blocks)[block++](x);
  }
  return at::silu(norm_out(x));
}

Tensor ClassifierImpl::glimpses_of(const Tensor& cells, const Tensor& overview) {
  const Tensor scores = salience(cells).contiguous().flatten(2);  // [B,2,cells]
  const Tensor weights = at::softmax(scores + places(overview).view_as(scores), -1);
  return at::matmul(weights, cells.permute({0, 2, 3, 1}).flatten(1, 2));
}

ClassifierOutput ClassifierImpl::forward(const Tensor& pictures) {
  check_shape(pictures, {-1, 3, pictures.size(-1), pictures.size(-1)}, "Classifier: pictures");
  const Tensor cells = cells_of(pictures);
  const Tensor quarters = at::_adaptive_avg_pool2d(cells, {2, 2}).contiguous().flatten(1);
  const Tensor overview = at::silu(scene(quarters_norm(quarters)));
  const Tensor of_scene = scene_features(overview);
  const Tensor of_emoji =
      emoji_features(at::silu(glimpse(glimpse_norm(glimpses_of(cells, overview)))));
  const Tensor which = emoji(of_emoji);  // [B,2,num_emoji]
  ClassifierOutput output;
  output.features = at::cat({of_emoji.flatten(1), of_scene}, 1);
  output.first = which.select(1, 0);
  output.second = at::cat({which.select(1, 1), no_second(of_scene)}, 1);
  output.arrangement = arrangement(of_scene);
  output.kind = kind(of_scene);
  output.colors = colors(of_scene);
  return output;
}

Classifier make_classifier(const ClassifierConfig& config, uint64_t seed) {
  Classifier classifier(config);
  initialize(*classifier, {.seed = seed, .zeroed = {"conv2"}});
  return classifier;
}

std::vector<SceneLabels> labels_from_output(const ClassifierOutput& output) {
  const auto first = to_vector(output.first.argmax(1));
  const auto second = to_vector(output.second.argmax(1));
  const auto arrangement = to_vector(output.arrangement.argmax(1));
  const auto kind = to_vector(output.kind.argmax(1));
  const auto colors = to_vector(std::get<1>(output.colors.topk(2, 1)));  // [B,2], likeliest first
  const int64_t num_emoji = output.first.size(1);
  std::vector<SceneLabels> labels;
  for (size_t i = 0; i < first.size(); ++i) {
    SceneLabels& one = labels.emplace_back();
    one.first = first[i];
    one.second = second[i] == num_emoji ? -1 : second[i];
    one.arrangement = static_cast<Arrangement>(arrangement[i]);
    one.kind = static_cast<BackgroundKind>(kind[i]);
    const bool is_plain = one.kind == BackgroundKind::kPlain;
    const int64_t color = colors[2 * i], other = is_plain ? color : colors[2 * i + 1];
    one.color = std::min(color, other);
    one.color_2 = std::max(color, other);
  }
  return labels;
}

Tensor classifier_loss(const ClassifierOutput& output, const std::vector<SceneLabels>& labels) {
  const auto loss = [&](const Tensor& answers, const auto& number) {
    return at::cross_entropy_loss(answers, targets_of(labels, number));
  };
  const int64_t none = output.first.size(1);
  const auto second = [&](const SceneLabels& one) { return one.second < 0 ? none : one.second; };
  return loss(output.first, [](const SceneLabels& one) { return one.first; }) +
         loss(output.second, second) +
         loss(output.arrangement,
              [](const SceneLabels& one) { return static_cast<int64_t>(one.arrangement); }) +
         loss(output.kind, [](const SceneLabels& one) { return static_cast<int64_t>(one.kind); }) +
         at::cross_entropy_loss(output.colors, color_targets(labels, output.colors.size(1)));
}

}  // namespace fourstep
