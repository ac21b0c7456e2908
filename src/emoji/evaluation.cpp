#include "emoji/evaluation.h"

#include <chrono>

#include "emoji/classifier_training.h"
#include "evaluate/measure.h"
#include "train/latent_cache.h"
#include "train/random.h"

namespace fourstep {

namespace {

constexpr int64_t kDefaultSamples = 10000;

std::vector<Scene> scenes_of_stream(const EmojiData& data, uint64_t stream, int64_t count,
                                    Split split) {
  std::vector<Scene> scenes;
  for (int64_t i = 0; i < count; ++i) scenes.push_back(data.scene(stream, i, split));
  return scenes;
}

std::vector<Scene> diversity_scenes(const EmojiData& data, const EvaluateConfig& config) {
  const uint64_t stream = hash_of({config.seed, "diversity scenes", 0});
  const uint64_t places = hash_of({config.seed, "diversity places", 0});
  std::vector<Scene> scenes;
  for (int64_t i = 0; i < config.diversity_prompts; ++i) {
    const Scene scene = data.scene(stream, i, Split::kTraining);
    for (const Scene& one : scenes_of_caption(data, scene, config.diversity_samples, places)) {
      scenes.push_back(one);
    }
  }
  return scenes;
}

Verdict verdict_of(const Judgement& judgement) {
  return {judgement.emoji, judgement.background, judgement.relation, judgement.all()};
}

std::vector<std::optional<double>> shares_of(const Accuracy& accuracy) {
  return {accuracy.emoji, accuracy.background, accuracy.relation, accuracy.all};
}

/// The seed is not that of the evaluation: other prompts need no other classifier.
ClassifierTraining classifier_training_of(const EmojiEvaluateConfig& config) {
  return {.iterations = config.classifier_iterations,
          .batch = config.classifier_batch,
          .lr = config.classifier_lr,
          .num_tests = config.classifier_tests};
}

std::filesystem::path classifier_folder(const EmojiEvaluateConfig& config) {
  if (!config.classifier.empty()) return config.classifier;
  return std::filesystem::path(config.common.out) / "classifier";
}

/// What the parts of a subject share.
struct EmojiSubject {
  EmojiEvaluateConfig config;
  EmojiData data;
  EmojiPrompts prompts;
};

PictureJudge judge_of(const std::shared_ptr<const EmojiSubject>& subject, const Events& events) {
  const EmojiEvaluateConfig& config = subject->config;
  const Judge trained =
      open_judge(subject->data, classifier_training_of(config), classifier_folder(config), events);
  PictureJudge judge{
      .questions = {"emoji", "background", "relation", "all"},
      .tests = {{"drawn", "on drawn pictures it was not trained on", shares_of(trained.drawn)},
                {"augmented", "on the same ones blurred, noisy and shifted in colour",
                 shares_of(trained.augmented)}},
      .settings = trained.settings};
  judge.judge = [subject, classifier = trained.classifier](const PromptSet& set, int64_t begin,
                                                           const Tensor& images) mutable {
    const ClassifierOutput output = classifier->forward(images);
    Judged judged{output.features, {}};
    const std::vector<SceneLabels> seen = labels_from_output(output);
    const std::vector<Scene>& scenes = subject->prompts.scenes.at(set.name);
    for (size_t i = 0; i < seen.size(); ++i) {
      const SceneLabels asked = labels_of(scenes.at(static_cast<size_t>(begin) + i));
      judged.verdicts.push_back(verdict_of(fourstep::judge(asked, seen[i])));
    }
    return judged;
  };
  return judge;
}

std::string subject_settings(const EmojiData& data, const EmojiEvaluateConfig& config) {
  std::string text =
      fmt::format("samples {}, prompts {}", config.common.samples.value_or(kDefaultSamples),
                  config.judged_prompts);
  visit_fields(data.config(), [&](const FieldInfo& field, const auto& value) {
    text += fmt::format(", {} {}", field.name, text_from_value(value));
  });
  return text;
}

}  // namespace

EmojiPrompts make_emoji_prompts(const EmojiData& data, const EmojiEvaluateConfig& config) {
  const int64_t samples = config.common.samples.value_or(kDefaultSamples);
  const int64_t num_seen = std::max(samples, config.judged_prompts);
  const int64_t num_held_out = data.config().held_out_percent > 0 ? config.judged_prompts : 0;
  EmojiPrompts prompts;
  const auto make_set = [&](const std::string& name, std::vector<Scene> scenes) {
    PromptSet set{.name = name};
    for (const Scene& scene : scenes) set.captions.push_back(main_caption(scene, data.emoji()));
    prompts.scenes[name] = std::move(scenes);
    return set;
  };
  const auto stream = [&](const char* name, int64_t count, Split split) {
    return scenes_of_stream(data, hash_of({config.common.seed, name, 0}), count, split);
  };
  prompts.sets.judged = {
      make_set("seen", stream("seen scenes", num_seen, Split::kTraining)),
      make_set("held out", stream("held-out scenes", num_held_out, Split::kHeldOut))};
  prompts.sets.diversity = make_set("diversity", diversity_scenes(data, config.common));
  prompts.sets.diversity.per_caption = config.common.diversity_samples;
  prompts.reference = make_set(
      "reference", stream("reference scenes", samples > 0 ? num_seen : 0, Split::kTraining));
  give_seeds({&prompts.sets.judged[0], &prompts.sets.judged[1], &prompts.sets.diversity,
              &prompts.reference},
             config.common.seed);
  return prompts;
}

PictureSource rendered_pictures(const EmojiData& data,
                                const std::map<std::string, std::vector<Scene>>& scenes,
                                Models* models) {
  return [&data, &scenes, models](const PromptSet& set, int64_t begin, int64_t count) {
    const torch::NoGradGuard no_grad;
    const auto start = std::chrono::steady_clock::now();
    const std::span<const Scene> all(scenes.at(set.name));
    Pictures pictures;
    pictures.images =
        draw_scenes(data, all.subspan(static_cast<size_t>(begin), static_cast<size_t>(count)),
                    data.config().image_size);
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    pictures.seconds = passed.count();
    if (models != nullptr && can_encode(*models)) {
      pictures.latents = latent_of(*models, pictures.images, Events{}).to(torch::kCPU);
    }
    return pictures;
  };
}

EvaluationSubject emoji_subject(const EmojiEvaluateConfig& config) {
  EmojiData data = open_emoji_data(config.settings, config.common.model);
  EmojiPrompts prompts = make_emoji_prompts(data, config);
  const auto shared = std::make_shared<const EmojiSubject>(
      EmojiSubject{config, std::move(data), std::move(prompts)});
  EvaluationSubject subject{.side = shared->data.config().image_size,
                            .sets = shared->prompts.sets,
                            .settings = subject_settings(shared->data, config)};
  subject.open_judge = [shared](const Events& events) { return judge_of(shared, events); };
  subject.real = [shared](Models* models) {
    return rendered_pictures(shared->data, shared->prompts.scenes, models);
  };
  subject.reference = [shared](Models* models, int64_t, Measuring& measuring) {
    return make_reference(rendered_pictures(shared->data, shared->prompts.scenes, models),
                          shared->prompts.reference, measuring);
  };
  return subject;
}

EvaluationSubject evaluation_subject(const EmojiEvaluateConfig& config) {
  check_emoji_options(config, {"prompts", "data", "latents", "resolution"});
  return config.emoji ? emoji_subject(config) : subject_from_files(config.common);
}

}  // namespace fourstep
