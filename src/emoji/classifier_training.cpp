#include "emoji/classifier_training.h"

#include "emoji/emoji_data.h"
#include "io/safetensors.h"
#include "train/loop.h"
#include "train/optimizer.h"
#include "train/random.h"

namespace fourstep {

namespace {

constexpr int64_t kTestBatch = 100;
constexpr double kAverageDecay = 0.99;
constexpr const char* kSettings = "settings";
constexpr const char* kDrawn = "drawn";
constexpr const char* kAugmented = "augmented";

std::string settings_of(const EmojiData& data, const ClassifierTraining& training) {
  std::string names;
  for (const Emoji& one : data.emoji()) names += one.name + "\n";
  return fmt::format(
      "classifier 3, {} emoji ({:016x}), seed {}, {} iterations, batch {}, lr {}, pairs {}, {} "
      "tests",
      data.count(), hash_of({0, names, 0}), training.seed, training.iterations, training.batch,
      training.lr, training.pair_share, training.num_tests);
}

/// All combinations: nothing is held out.
SceneConfig training_scenes(const EmojiData& data, const ClassifierTraining& training) {
  SceneConfig config = data.config();
  config.held_out_percent = 0;
  config.pair_share = data.count() > 1 ? training.pair_share : 0;
  return config;
}

struct LabelledPictures {
  Tensor pictures;  ///< [B,3,kClassifierSidePx,kClassifierSidePx]
  std::vector<SceneLabels> labels;
};

/// Scenes first .. first + count - 1 of the stream `seed`.
LabelledPictures draw_labelled(const EmojiData& data, const SceneConfig& config, uint64_t seed,
                               int64_t first, int64_t count) {
  std::vector<Scene> scenes;
  std::vector<SceneLabels> labels;
  for (int64_t i = first; i < first + count; ++i) {
    scenes.push_back(make_scene(config, data.emoji(), seed, i, Split::kTraining));
    labels.push_back(labels_of(scenes.back()));
  }
  return {draw_scenes(data, scenes, kClassifierSidePx), labels};
}

void train(Classifier& classifier, const EmojiData& data, const ClassifierTraining& training,
           const LoopOptions& options, const Events& events) {
  const NamedTensors parameters = parameters_of(*classifier);
  NamedTensors average = clone_tensors(parameters);
  require_gradients(parameters, true);
  AdamW optimizer(parameters, {});
  const SceneConfig config = training_scenes(data, training);
  const uint64_t scenes = hash_of({training.seed, "classifier scenes", 0});
  Loop loop;
  loop.step = [&](int64_t i) -> LossRow {
    const LabelledPictures batch =
        draw_labelled(data, config, scenes, i * training.batch, training.batch);
    const Tensor pictures = augment_pictures(batch.pictures, {training.seed, "augmentation", i});
    const ClassifierOutput output = classifier->forward(pictures);
    const Tensor loss = classifier_loss(output, batch.labels);
    loss.backward();
    const double norm = clip_gradients(parameters, 1);
    optimizer.step(learning_rate_at(i, training.iterations, training.lr, 100, 0.01));
    update_average(average, parameters, std::min(kAverageDecay, (1.0 + i) / (10.0 + i)));
    std::vector<Judgement> judgements;
    const auto seen = labels_from_output(output);
    for (size_t j = 0; j < seen.size(); ++j) judgements.push_back(judge(batch.labels[j], seen[j]));
    const Accuracy accuracy = accuracy_of(judgements);
    return {{"loss", loss.item<double>()},
            {"grad", norm},
            {"emoji", accuracy.emoji},
            {"background", accuracy.background},
            {"relation", accuracy.relation}};
  };
  loop.state = [&] {
    NamedTensors all;
    add_prefixed(all, "classifier", parameters);
    add_prefixed(all, "average", average);
    add_prefixed(all, "optimizer", optimizer.state());
    return all;
  };
  loop.restore = [&](const NamedTensors& state) {
    copy_tensors(take_prefixed(state, "classifier"), parameters, "classifier");
    copy_tensors(take_prefixed(state, "average"), average, "weight average");
    optimizer.load(take_prefixed(state, "optimizer"));
  };
  run_loop(options, loop, events);
  require_gradients(parameters, false);
  copy_tensors(average, parameters, "weight average");
}

/// On scenes that training does not use, with and without the changes of augment_pictures().
Accuracy test(Classifier& classifier, const EmojiData& data, const ClassifierTraining& training,
              bool is_augmented) {
  const torch::NoGradGuard no_grad;
  SceneConfig config = data.config();
  config.held_out_percent = 0;
  std::vector<Judgement> judgements;
  const uint64_t scenes = hash_of({training.seed, "classifier test", 0});
  for (int64_t i = 0; i < training.num_tests; i += kTestBatch) {
    const int64_t count = std::min(kTestBatch, training.num_tests - i);
    const LabelledPictures batch = draw_labelled(data, config, scenes, i, count);
    const Tensor pictures =
        is_augmented ? augment_pictures(batch.pictures, {training.seed, "test augmentation", i})
                     : batch.pictures;
    const auto seen = labels_from_output(classifier->forward(pictures));
    for (size_t j = 0; j < seen.size(); ++j) judgements.push_back(judge(batch.labels[j], seen[j]));
  }
  return accuracy_of(judgements);
}

/// "0.98,0.99,1,0.97"; no number where nothing was judged.
std::string text_of(const Accuracy& accuracy) {
  return fmt::format("{},{},{},{}", text_from_value(accuracy.emoji),
                     text_from_value(accuracy.background), text_from_value(accuracy.relation),
                     text_from_value(accuracy.all));
}

Accuracy accuracy_from_text(const std::string& text) {
  const std::vector<std::string> parts = split_text(text, ',');
  Accuracy accuracy;
  std::optional<double>* places[] = {&accuracy.emoji, &accuracy.background, &accuracy.relation,
                                     &accuracy.all};
  for (size_t i = 0; i < std::min(parts.size(), std::size(places)); ++i) {
    value_from_text(FieldInfo{"classifier accuracy", "", "", 0, 1}, parts[i], *places[i]);
  }
  return accuracy;
}

/// Whether the file was there and of these settings; fills `judge`.
bool take_saved(const std::filesystem::path& path, Judge& judge) {
  if (!std::filesystem::exists(path)) return false;
  const TensorFile file = open_safetensors(path);
  if (entry_of(file.metadata, kSettings) != judge.settings) return false;
  copy_tensors(file.tensors, parameters_of(*judge.classifier), path.string());
  judge.drawn = accuracy_from_text(entry_of(file.metadata, kDrawn));
  judge.augmented = accuracy_from_text(entry_of(file.metadata, kAugmented));
  return true;
}

}  // namespace

Judge open_judge(const EmojiData& data, const ClassifierTraining& training,
                 const std::filesystem::path& folder, const Events& events) {
  Judge judge;
  judge.settings = settings_of(data, training);
  judge.classifier = make_classifier({.num_emoji = data.count()}, training.seed);
  const auto path = folder / "classifier.safetensors";
  if (take_saved(path, judge)) return judge;
  train(judge.classifier, data, training,
        {.folder = folder,
         .name = "classifier",
         .iterations = training.iterations,
         .save_every = training.save_every,
         .is_resumed = true,
         .settings = {{"classifier", judge.settings}}},
        events);
  judge.drawn = test(judge.classifier, data, training, false);
  judge.augmented = test(judge.classifier, data, training, true);
  write_safetensors(path, clone_tensors(parameters_of(*judge.classifier)),
                    {{kSettings, judge.settings},
                     {kDrawn, text_of(judge.drawn)},
                     {kAugmented, text_of(judge.augmented)}});
  return judge;
}

namespace {

constexpr double kContrast = 0.2, kBrightness = 0.12, kBalance = 0.06, kNoise = 0.12;
constexpr double kSharpest = -1.0 / 3, kSoftest = 1;

}  // namespace

Tensor augment_pictures(const Tensor& pictures, const RandomKey& key) {
  const int64_t count = pictures.size(0);
  // Seven numbers per picture, 0..1.
  const Tensor numbers = draw_uniform(key, 7 * count).view({count, 7, 1, 1});
  const auto between = [&](int64_t which, int64_t how_many, double low, double high) {
    return numbers.narrow(1, which, how_many) * (high - low) + low;
  };
  const Tensor blurred = at::avg_pool2d(at::replication_pad2d(pictures, {1, 1, 1, 1}), 3, 1);
  Tensor x = pictures + (blurred - pictures) * between(0, 1, kSharpest, kSoftest);
  x = x * between(1, 1, 1 - kContrast, 1 + kContrast) + between(2, 1, -kBrightness, kBrightness) +
      between(3, 3, -kBalance, kBalance);
  const RandomKey noise_key{hash_of(key), "noise", key.iteration};
  x = x + draw_normal(noise_key, shape_of(pictures)) * between(6, 1, 0, kNoise);
  return x.clamp(-1, 1);
}

}  // namespace fourstep
