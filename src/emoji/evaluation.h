#pragma once
// Evaluating models of drawn emoji: prompts are captions of scenes, real pictures are the scenes
// drawn, and a classifier says what a picture shows.

#include <map>

#include "emoji/emoji_options.h"
#include "evaluate/subject.h"

namespace fourstep {

struct EmojiEvaluateConfig {
  EvaluateConfig common;
  bool emoji = false;
  EmojiSettings settings;
  int64_t judged_prompts = 1000;
  std::string classifier;
  int64_t classifier_iterations = 5000;
  int64_t classifier_batch = 64;
  double classifier_lr = 3e-3;
  int64_t classifier_tests = 2000;
};

template <typename AnyConfig, typename Visitor>
void visit_fields(AnyConfig& c, Visitor&& visit) requires
    std::is_same_v<std::remove_const_t<AnyConfig>, EmojiEvaluateConfig> {
  using Info = FieldInfo;
  visit_fields(c.common, visit);
  visit(Info{"emoji", "prompts and real pictures are drawn emoji, which a classifier judges"},
        c.emoji);
  visit_fields(c.settings, visit);
  visit(Info{"judged_prompts", "emoji: prompts per split whose pictures are judged, at least", "",
             1, 1e7},
        c.judged_prompts);
  visit(
      Info{"classifier", "emoji: folder of the judging classifier; OUT/classifier when not given"},
      c.classifier);
  visit(Info{"classifier_iterations", "emoji: training steps of the classifier", "steps", 1, 1e9},
        c.classifier_iterations);
  visit(Info{"classifier_batch", "emoji: pictures per step of the classifier", "", 1, 65536},
        c.classifier_batch);
  visit(Info{"classifier_lr", "emoji: peak learning rate of the classifier", "", 0, 1},
        c.classifier_lr);
  visit(Info{"classifier_tests", "emoji: drawn pictures that tell the classifier's own accuracy",
             "", 1, 1e7},
        c.classifier_tests);
}

/// The prompts of an evaluation and the scenes behind them: the same captions and seeds for all
/// rows. The streams of scenes are not those of training or of the classifier, so even pictures of
/// seen combinations are new in place, size and direction.
struct EmojiPrompts {
  /// "seen": max(samples, judged_prompts) scenes of the training split; "held out": judged_prompts
  /// of the held-out split, none where nothing is held out; "diversity": diversity_samples scenes
  /// of each caption.
  PromptSets sets;
  PromptSet reference;  ///< "reference": as many as seen, other ones; none where samples is 0
  std::map<std::string, std::vector<Scene>> scenes;  ///< of each set, by its name
};

EmojiPrompts make_emoji_prompts(const EmojiData& data, const EmojiEvaluateConfig& config);

/// The scenes themselves, encoded by the model's autoencoder. models: null for no latents.
PictureSource rendered_pictures(const EmojiData& data,
                                const std::map<std::string, std::vector<Scene>>& scenes,
                                Models* models);

/// All of the above for evaluate_models(); the classifier is trained when its judge is opened,
/// unless its folder has it.
/// Throws as open_emoji_data().
EvaluationSubject emoji_subject(const EmojiEvaluateConfig& config);

/// That, or subject_from_files() where config.emoji is off. Throws InvalidRequest when an option of
/// emoji is given without --emoji, or one of files with it.
EvaluationSubject evaluation_subject(const EmojiEvaluateConfig& config);

}  // namespace fourstep
