#include "emoji/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "emoji/classifier_training.h"
#include "evaluate/evaluate.h"
#include "support/files.h"
#include "support/golden.h"
#include "support/tiny_model.h"

namespace fourstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class EmojiEvaluation : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new testing::TemporaryFolder();
    testing::write_tiny_sdxl(path("tiny.safetensors"));
    testing::write_tiny_lora(path("lora.safetensors"));
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string path(const std::string& name) { return (folder_->path() / name).string(); }

  /// Seconds of work: few pictures, a classifier that has seen next to nothing.
  static EmojiEvaluateConfig small(const std::string& out) {
    EmojiEvaluateConfig config;
    config.emoji = true;
    config.common.model = path("tiny.safetensors");
    config.common.lora = path("lora.safetensors");
    config.common.out = path(out);
    config.classifier = path("classifier");
    config.classifier_iterations = 2;
    config.classifier_batch = 4;
    config.classifier_tests = 40;
    config.common.samples = 5;
    config.judged_prompts = 4;
    config.common.diversity_prompts = 1;
    config.common.diversity_samples = 2;
    config.common.batch = 2;
    config.common.teacher_steps = {2};
    config.common.base_steps = {2};
    config.common.student_steps = {1, 2};
    config.settings.emoji_groups = "Food & Drink";
    config.settings.scenes.image_size = 64;
    return config;
  }

  static testing::TemporaryFolder* folder_;
};

testing::TemporaryFolder* EmojiEvaluation::folder_ = nullptr;

Evaluation evaluate_emoji(const EmojiEvaluateConfig& config, const Events& events = {}) {
  return evaluate_models(config.common, evaluation_subject(config), events);
}

std::optional<double> share(const RowResult& row, const std::string& name) {
  for (const Share& one : row.shares) {
    if (one.name() == name) return one.value;
  }
  return std::nullopt;
}

std::vector<std::string> names_of(const Evaluation& evaluation) {
  std::vector<std::string> names;
  for (const MeasuredRow& row : evaluation.rows) names.push_back(row.result.row);
  return names;
}

/// The numbers of all rows but their times.
std::vector<double> numbers_of(const Evaluation& evaluation) {
  std::vector<double> numbers;
  for (const MeasuredRow& row : evaluation.rows) {
    const RowResult& r = row.result;
    for (const auto& value : {share(r, "seen_emoji"), share(r, "seen_background"),
                              share(r, "held_out_all"), r.frechet_features, r.frechet_latents,
                              r.diversity, r.brightness, r.latent_std, r.latent_hf}) {
      numbers.push_back(value.value_or(-1));
    }
  }
  return numbers;
}

TEST_F(EmojiEvaluation, MeasuresEveryRowAndWritesTablePlotsAndSheet) {
  const Evaluation evaluation = evaluate_emoji(small("all"));
  EXPECT_THAT(names_of(evaluation),
              ElementsAre("real pictures", "teacher, 2 steps", "base, 2 steps", "student, 1 step",
                          "student, 2 steps"));
  for (const MeasuredRow& row : evaluation.rows) {
    EXPECT_TRUE(share(row.result, "seen_all") && share(row.result, "held_out_all"))
        << row.result.row;
    EXPECT_GT(*row.result.frechet_features, 0);
    EXPECT_GT(*row.result.frechet_latents, 0);
    EXPECT_GT(*row.result.diversity, 0);
    EXPECT_GT(*row.result.seconds_per_image, 0);
    EXPECT_EQ(shape_of(row.sheet), (Shape{8, 64, 64, 3}));
  }
  const std::string page = testing::read_file(path("all/evaluation.md"));
  EXPECT_THAT(page, HasSubstr("| student, 2 steps "));
  EXPECT_THAT(page, HasSubstr("](accuracy.svg)"));
  for (const std::filesystem::path& file : evaluation.files) {
    EXPECT_TRUE(std::filesystem::exists(file)) << file;
  }
  EXPECT_EQ(evaluation.files.size(), 5u);
}

TEST_F(EmojiEvaluation, NumbersDependOnTheSeedAndNotOnTheBatch) {
  EmojiEvaluateConfig config = small("batches");
  config.common.rows = "base";
  const std::vector<double> of_two = numbers_of(evaluate_emoji(config));
  std::filesystem::remove_all(config.common.out);
  config.common.batch = 5;
  // Rounding differs with the batch, and the distances amplify it.
  EXPECT_LT(testing::max_relative_error(numbers_of(evaluate_emoji(config)), of_two), 1e-3);
  config.common.seed = 1;
  EXPECT_GT(testing::max_relative_error(numbers_of(evaluate_emoji(config)), of_two), 1e-3);
}

TEST_F(EmojiEvaluation, PrecisionChangesTheNumbersALittle) {
  EmojiEvaluateConfig config = small("precision");
  config.common.rows = "base";
  const std::vector<double> fp32 = numbers_of(evaluate_emoji(config));
  config.common.precision = "bf16";  // another row: the finished one does not count
  const double change = testing::max_relative_error(numbers_of(evaluate_emoji(config)), fp32);
  EXPECT_GT(change, 0);
  EXPECT_LT(change, 0.3);
  config.common.precision = "fp8";
  EXPECT_THROW(evaluate_emoji(config), InvalidRequest);
}

TEST_F(EmojiEvaluation, AStoppedRunGoesOnWithItsNextRow) {
  EmojiEvaluateConfig config = small("stopped");
  config.common.rows = "real;base";
  std::set<std::string> measured;
  Events events;
  bool is_stopped = false;
  events.on_progress = [&](const Progress& progress) {
    if (progress.stage == Stage::kEvaluate) measured.insert(progress.values);
    is_stopped = progress.values == "base, 2 steps" && progress.step > 0;
  };
  events.is_cancelled = [&] { return is_stopped; };
  EXPECT_THROW(evaluate_emoji(config, events), Cancelled);
  EXPECT_THAT(measured,
              ElementsAre("base, 2 steps", "real pictures", "real pictures to compare with"));

  measured.clear();
  events.is_cancelled = {};
  const Evaluation whole = evaluate_emoji(config, events);
  EXPECT_THAT(measured, ElementsAre("base, 2 steps", "real pictures to compare with"));
  measured.clear();
  EXPECT_EQ(numbers_of(evaluate_emoji(config, events)), numbers_of(whole));
  EXPECT_TRUE(measured.empty());

  config.common.seed = 1;  // other settings: nothing fits
  evaluate_emoji(config, events);
  EXPECT_EQ(measured.size(), 3u);
}

TEST_F(EmojiEvaluation, RealPicturesNeedNoModel) {
  EmojiEvaluateConfig config = small("real");
  config.common.rows = "real";
  config.common.model.clear();
  const RowResult row = evaluate_emoji(config).rows.at(0).result;
  EXPECT_FALSE(row.frechet_latents || row.latent_std || row.cfg_scale);
  EXPECT_GT(*row.frechet_features, 0);
}

TEST_F(EmojiEvaluation, WithoutSamplesOnlyPromptsAreJudged) {
  EmojiEvaluateConfig config = small("judged");
  config.common.rows = "base";
  config.common.samples = 0;
  config.common.diversity_prompts = 0;
  const RowResult row = evaluate_emoji(config).rows.at(0).result;
  EXPECT_TRUE(share(row, "seen_all") && share(row, "held_out_all") && row.latent_std);
  EXPECT_FALSE(row.frechet_features || row.frechet_latents || row.diversity);
}

TEST_F(EmojiEvaluation, RefusesModelsThatItCannotSample) {
  EmojiEvaluateConfig config = small("refused");
  config.common.rows = "base";
  config.settings.scenes.image_size = 68;
  EXPECT_THAT(testing::message_of<InvalidRequest>([&] { evaluate_emoji(config); }),
              HasSubstr("no multiple of 8"));
}

TEST_F(EmojiEvaluation, SettingsAreCheckedBeforeTheClassifierIsTrained) {
  EmojiEvaluateConfig config = small("checked");
  config.classifier = path("untrained");
  const auto message = [&] {
    return testing::message_of<InvalidRequest>([&] { evaluate_emoji(config); });
  };
  config.common.student_schedule = "best";
  EXPECT_THAT(message(), HasSubstr("best"));
  config = small("checked");
  config.classifier = path("untrained");
  config.common.rows = "unreal";
  EXPECT_THAT(message(), HasSubstr("unreal"));
  EXPECT_FALSE(std::filesystem::exists(config.classifier));
}

TEST_F(EmojiEvaluation, OptionsThatWouldHaveNoEffectAreRefused) {
  EmojiEvaluateConfig config = small("options");
  const auto message = [&] {
    return testing::message_of<InvalidRequest>([&] { evaluation_subject(config); });
  };
  config.common.prompts = "prompts.txt";
  EXPECT_THAT(message(), HasSubstr("--prompts"));
  config.emoji = false;
  EXPECT_THAT(message(), HasSubstr("add --emoji"));
}

TEST_F(EmojiEvaluation, AClassifierIsTrainedOncePerFolderAndSettings) {
  const EmojiData data({}, {}, {"Food & Drink"});
  const ClassifierTraining training{.iterations = 3, .batch = 4, .num_tests = 40};
  int64_t num_steps = 0;
  Events events;
  events.on_progress = [&](const Progress& progress) { num_steps += progress.step > 0 ? 1 : 0; };
  const Judge first = open_judge(data, training, path("judge"), events);
  EXPECT_EQ(num_steps, 3);
  EXPECT_TRUE(first.drawn.all && first.drawn.relation && first.augmented.emoji);
  const Judge again = open_judge(data, training, path("judge"), events);
  EXPECT_EQ(num_steps, 3);
  EXPECT_EQ(again.drawn.all, first.drawn.all);
  const Tensor pictures = at::zeros({1, 3, 64, 64});
  EXPECT_TRUE(torch::equal(Classifier(first.classifier)->forward(pictures).features,
                           Classifier(again.classifier)->forward(pictures).features));
  EXPECT_THROW(
      open_judge(data, {.iterations = 4, .batch = 4, .num_tests = 40}, path("judge"), events),
      InvalidRequest);
}

TEST_F(EmojiEvaluation, AnInterruptedClassifierEndsWithTheSameWeights) {
  const EmojiData data({}, {}, {"Food & Drink"});
  const ClassifierTraining training{.iterations = 4, .batch = 2, .num_tests = 1};
  const Judge whole = open_judge(data, training, path("whole"), {});
  Events events;
  int64_t step = 0;
  events.on_progress = [&](const Progress& progress) { step = progress.step; };
  events.is_cancelled = [&] { return step == 2; };
  EXPECT_THROW(open_judge(data, training, path("parts"), events), Cancelled);
  open_judge(data, training, path("parts"), {});
  EXPECT_EQ(testing::read_file(path("parts/classifier.safetensors")),
            testing::read_file(path("whole/classifier.safetensors")));
}

const EmojiData& food() {
  static const EmojiData data({.image_size = 32}, {}, {"Food & Drink"});
  return data;
}

TEST(EmojiPrompts, SetsShareNoSceneAndNoSeed) {
  EmojiEvaluateConfig config;
  config.common.samples = 5;
  config.judged_prompts = 3;
  config.common.diversity_prompts = 2;
  config.common.diversity_samples = 4;
  const EmojiPrompts prompts = make_emoji_prompts(food(), config);
  const PromptSet &seen = prompts.sets.judged.at(0), &held_out = prompts.sets.judged.at(1);
  const PromptSet& diversity = prompts.sets.diversity;
  EXPECT_EQ(seen.count(), 5);
  EXPECT_EQ(held_out.count(), 3);
  EXPECT_EQ(diversity.count(), 8);
  EXPECT_EQ(prompts.reference.count(), 5);
  for (const Scene& one : prompts.scenes.at("held out")) {
    EXPECT_TRUE(is_held_out(food().config(), food().emoji(), one));
  }
  for (const Scene& one : prompts.scenes.at("seen")) {
    EXPECT_FALSE(is_held_out(food().config(), food().emoji(), one));
    for (const Scene& other : prompts.scenes.at("reference")) EXPECT_NE(one, other);
  }
  EXPECT_EQ(diversity.captions[0], diversity.captions[3]);
  EXPECT_NE(diversity.captions[3], diversity.captions[4]);
  EXPECT_GE(held_out.first_seed, seen.first_seed + 5);
}

TEST(EmojiPrompts, WithoutSamplesThereIsNothingToCompareWith) {
  EmojiEvaluateConfig config;
  config.common.samples = 0;
  config.judged_prompts = 3;
  config.common.diversity_prompts = 0;
  const EmojiPrompts prompts = make_emoji_prompts(food(), config);
  EXPECT_EQ(prompts.sets.judged.at(0).count(), 3);
  EXPECT_EQ(prompts.reference.count(), 0);
  EXPECT_EQ(prompts.sets.diversity.count(), 0);
}

}  // namespace
}  // namespace fourstep
