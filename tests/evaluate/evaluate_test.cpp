#include "evaluate/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "evaluate/measure.h"
#include "evaluate/rows.h"
#include "io/safetensors.h"
#include "support/files.h"
#include "support/golden.h"
#include "support/tiny_model.h"

namespace fourstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Evaluate : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new testing::TemporaryFolder();
    testing::write_tiny_sdxl(path("tiny.safetensors"));
    testing::write_tiny_lora(path("lora.safetensors"));
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string path(const std::string& name) { return (folder_->path() / name).string(); }

  /// Seconds of work: few pictures, a classifier that has seen next to nothing.
  static EvaluateConfig small(const std::string& out) {
    EvaluateConfig config;
    config.model = path("tiny.safetensors");
    config.lora = path("lora.safetensors");
    config.out = path(out);
    config.classifier = path("classifier");
    config.classifier_iterations = 2;
    config.classifier_batch = 4;
    config.classifier_tests = 40;
    config.samples = 5;
    config.prompts = 4;
    config.diversity_prompts = 1;
    config.diversity_samples = 2;
    config.batch = 2;
    config.teacher_steps = {2};
    config.base_steps = {2};
    config.student_steps = {1, 2};
    config.emoji.emoji_groups = "Food & Drink";
    config.emoji.scenes.image_size = 64;
    return config;
  }

  static testing::TemporaryFolder* folder_;
};

testing::TemporaryFolder* Evaluate::folder_ = nullptr;

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
    for (const auto& value :
         {r.seen_emoji, r.seen_background, r.held_out_all, r.frechet_features, r.frechet_latents,
          r.diversity, r.brightness, r.latent_std, r.latent_hf}) {
      numbers.push_back(value.value_or(-1));
    }
  }
  return numbers;
}

TEST_F(Evaluate, MeasuresEveryRowAndWritesTablePlotsAndSheet) {
  const Evaluation evaluation = evaluate_models(small("all"), {});
  EXPECT_THAT(names_of(evaluation),
              ElementsAre("real pictures", "teacher, 2 steps", "base, 2 steps", "student, 1 step",
                          "student, 2 steps"));
  for (const MeasuredRow& row : evaluation.rows) {
    EXPECT_TRUE(row.result.seen_all && row.result.held_out_all) << row.result.row;
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

TEST_F(Evaluate, NumbersDependOnTheSeedAndNotOnTheBatch) {
  EvaluateConfig config = small("batches");
  config.rows = "base";
  const std::vector<double> of_two = numbers_of(evaluate_models(config, {}));
  std::filesystem::remove_all(config.out);
  config.batch = 5;
  // Rounding differs with the batch, and the distances amplify it.
  EXPECT_LT(testing::max_relative_error(numbers_of(evaluate_models(config, {})), of_two), 1e-3);
  config.seed = 1;
  EXPECT_GT(testing::max_relative_error(numbers_of(evaluate_models(config, {})), of_two), 1e-3);
}

TEST_F(Evaluate, PrecisionChangesTheNumbersALittle) {
  EvaluateConfig config = small("precision");
  config.rows = "base";
  const std::vector<double> fp32 = numbers_of(evaluate_models(config, {}));
  config.precision = "bf16";  // another row: the finished one does not count
  const double change = testing::max_relative_error(numbers_of(evaluate_models(config, {})), fp32);
  EXPECT_GT(change, 0);
  EXPECT_LT(change, 0.3);
  config.precision = "fp8";
  EXPECT_THROW(evaluate_models(config, {}), InvalidRequest);
}

TEST_F(Evaluate, AStoppedRunGoesOnWithItsNextRow) {
  EvaluateConfig config = small("stopped");
  config.rows = "real;base";
  std::set<std::string> measured;
  Events events;
  bool is_stopped = false;
  events.on_progress = [&](const Progress& progress) {
    if (progress.stage == Stage::kEvaluate) measured.insert(progress.values);
    is_stopped = progress.values == "base, 2 steps" && progress.step > 0;
  };
  events.is_cancelled = [&] { return is_stopped; };
  EXPECT_THROW(evaluate_models(config, events), Cancelled);
  EXPECT_THAT(measured,
              ElementsAre("base, 2 steps", "real pictures", "real pictures to compare with"));

  measured.clear();
  events.is_cancelled = {};
  const Evaluation whole = evaluate_models(config, events);
  EXPECT_THAT(measured, ElementsAre("base, 2 steps", "real pictures to compare with"));
  measured.clear();
  EXPECT_EQ(numbers_of(evaluate_models(config, events)), numbers_of(whole));
  EXPECT_TRUE(measured.empty());

  config.seed = 1;  // other settings: nothing fits
  evaluate_models(config, events);
  EXPECT_EQ(measured.size(), 3u);
}

TEST_F(Evaluate, RealPicturesNeedNoModel) {
  EvaluateConfig config = small("real");
  config.rows = "real";
  config.model.clear();
  const RowResult row = evaluate_models(config, {}).rows.at(0).result;
  EXPECT_FALSE(row.frechet_latents || row.latent_std || row.cfg_scale);
  EXPECT_GT(*row.frechet_features, 0);
}

TEST_F(Evaluate, WithoutSamplesOnlyPromptsAreJudged) {
  EvaluateConfig config = small("judged");
  config.rows = "base";
  config.samples = 0;
  config.diversity_prompts = 0;
  const RowResult row = evaluate_models(config, {}).rows.at(0).result;
  EXPECT_TRUE(row.seen_all && row.held_out_all && row.latent_std);
  EXPECT_FALSE(row.frechet_features || row.frechet_latents || row.diversity);
}

TEST_F(Evaluate, RefusesModelsThatItCannotSample) {
  EvaluateConfig config = small("refused");
  config.rows = "base";
  config.emoji.scenes.image_size = 68;
  EXPECT_THAT(testing::message_of<InvalidRequest>([&] { evaluate_models(config, {}); }),
              HasSubstr("no multiple of 8"));
  config = small("refused");
  config.rows = "base";
  config.model = path("v.safetensors");
  testing::write_tiny_sdxl(config.model,
                           [](Checkpoint& checkpoint) { checkpoint.prediction = Prediction::kV; });
  EXPECT_THAT(testing::message_of<InvalidRequest>([&] { evaluate_models(config, {}); }),
              HasSubstr("eps prediction"));
}

TEST_F(Evaluate, AClassifierIsTrainedOncePerFolderAndSettings) {
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

TEST_F(Evaluate, AnInterruptedClassifierEndsWithTheSameWeights) {
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

TEST_F(Evaluate, ARowComesBackAsItWasSaved) {
  MeasuredRow row;
  row.result.row = "student, 4 steps";
  row.result.steps = 4;
  row.result.seen_all = 1.0 / 3;
  row.sheet = at::arange(24, torch::kUInt8).view({2, 2, 2, 3});
  const std::filesystem::path file = path("rows/a.safetensors");
  save_row(file, row, "these");
  EXPECT_FALSE(load_row(file, "others"));
  EXPECT_FALSE(load_row(path("rows/b.safetensors"), "these"));
  const auto loaded = load_row(file, "these");
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->result.row, row.result.row);
  EXPECT_EQ(loaded->result.steps, 4);
  EXPECT_EQ(loaded->result.seen_all, row.result.seen_all);
  EXPECT_FALSE(loaded->result.diversity);
  EXPECT_TRUE(torch::equal(loaded->sheet, row.sheet));
  write_safetensors(file, {}, {{"settings", "these"}});
  EXPECT_THAT(testing::message_of<Error>([&] { load_row(file, "these"); }), HasSubstr("remove it"));
}

TEST(NumberStats, AreThoseOfAllNumbersTogether) {
  NumberStats stats;
  EXPECT_FALSE(stats.mean() || stats.std());
  stats.add(at::tensor({1., 2.}));
  stats.add(at::zeros({0}));
  stats.add(at::tensor({6., 7.}));
  EXPECT_DOUBLE_EQ(*stats.mean(), 4);
  EXPECT_DOUBLE_EQ(*stats.std(), std::sqrt((9 + 4 + 4 + 9) / 4.0));
}

TEST(EvaluationReport, ShowsSharesInPercentAndGapsAsDashes) {
  MeasuredRow row;
  row.result.row = "student, 4 steps";
  row.result.kind = "student";
  row.result.steps = 4;
  row.result.seen_emoji = 0.5;
  row.result.frechet_features = 12.34567;
  const Table table = evaluation_table({row});
  ASSERT_EQ(table.rows.size(), 1u);
  const std::vector<std::string>& cells = table.rows[0];
  EXPECT_EQ(cells.size(), table.columns.size());
  EXPECT_EQ(cells[0], "student, 4 steps");
  EXPECT_EQ(cells[1], "4");
  EXPECT_EQ(cells[2], "-");
  EXPECT_EQ(cells[3], "50.0");
  EXPECT_THAT(cells, ::testing::Contains("12.35"));
}

TEST(EvaluationReport, PlotsCurvesOverStepsAndSingleRowsAsLines) {
  std::vector<MeasuredRow> rows(3);
  for (size_t i = 0; i < 3; ++i) {
    RowResult& row = rows[i].result;
    row.kind = i == 0 ? "teacher" : "student";
    row.row = i == 0 ? "teacher, 50 steps" : "student";
    row.steps = i == 0 ? 50 : static_cast<int64_t>(i);
    row.seen_all = 0.25 * static_cast<double>(i + 1);
    row.held_out_all = row.seen_all;
    row.frechet_features = 10;
  }
  EXPECT_THAT(accuracy_plot(rows), HasSubstr("student, held out"));
  EXPECT_THAT(accuracy_plot(rows), HasSubstr("teacher, 50 steps"));
  EXPECT_THAT(frechet_plot(rows, "Distance", &RowResult::frechet_features), HasSubstr("Distance"));
}

}  // namespace
}  // namespace fourstep
