#include "evaluate/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/files.h"
#include "support/golden.h"
#include "support/pictures.h"
#include "support/tiny_model.h"

namespace fourstep {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// Any checkpoint: prompts of a file, a folder of real pictures, the size of the model.
class Evaluate : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new testing::TemporaryFolder();
    testing::write_tiny_sdxl(path("tiny.safetensors"), [](Checkpoint& checkpoint) {
      checkpoint.metadata["modelspec.resolution"] = "64x64";
    });
    testing::write_tiny_lora(path("lora.safetensors"));
    testing::write_two_pictures(path("real"));
    testing::write_file(path("prompts.txt"), "a cat\na fox\n\na fat cat\n");
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string path(const std::string& name) { return (folder_->path() / name).string(); }

  static EvaluateConfig small(const std::string& out) {
    EvaluateConfig config;
    config.model = path("tiny.safetensors");
    config.lora = path("lora.safetensors");
    config.out = path(out);
    config.prompts = path("prompts.txt");
    config.data = path("real");
    config.diversity_prompts = 1;
    config.diversity_samples = 2;
    config.batch = 2;
    config.teacher_steps = {2};
    config.base_steps = {2};
    config.student_steps = {1};
    return config;
  }
  static Evaluation evaluate(const EvaluateConfig& config, const Events& events = {}) {
    return evaluate_models(config, subject_from_files(config), events);
  }

  static testing::TemporaryFolder* folder_;
};

testing::TemporaryFolder* Evaluate::folder_ = nullptr;

TEST_F(Evaluate, MeasuresAnyCheckpointAtItsNativeSize) {
  std::vector<std::string> notices;
  Events events;
  events.on_notice = [&](const std::string& sentence) { notices.push_back(sentence); };
  const Evaluation evaluation = evaluate(small("all"), events);
  EXPECT_THAT(notices,
              Contains("evaluate: pictures of 64x64 px, the native size of tiny.safetensors"));
  std::vector<std::string> names;
  for (const MeasuredRow& row : evaluation.rows) {
    names.push_back(row.result.row);
    EXPECT_EQ(shape_of(row.sheet), (Shape{3, 64, 64, 3}));
    EXPECT_GT(*row.result.frechet_latents, 0);
    EXPECT_GT(*row.result.diversity, 0);
    EXPECT_FALSE(row.result.frechet_features);
    EXPECT_TRUE(row.result.shares.empty());
  }
  EXPECT_THAT(names, ElementsAre("teacher, 2 steps", "base, 2 steps", "student, 1 step"));
  const std::string page = testing::read_file(path("all/evaluation.md"));
  EXPECT_THAT(page, HasSubstr("FD latents"));
  EXPECT_THAT(page, Not(HasSubstr("classifier")));
  EXPECT_TRUE(std::filesystem::exists(path("all/latents.safetensors")));
}

TEST_F(Evaluate, PromptsComeInTurnUntilThereAreEnoughPictures) {
  EvaluateConfig config = small("turns");
  config.samples = 5;
  const PromptSets sets = subject_from_files(config).sets;
  EXPECT_THAT(sets.judged.at(0).captions,
              ElementsAre("a cat", "a fox", "a fat cat", "a cat", "a fox"));
  EXPECT_THAT(sets.diversity.captions, ElementsAre("a cat", "a cat"));
  EXPECT_GE(sets.diversity.first_seed, sets.judged.at(0).first_seed + 5);
}

TEST_F(Evaluate, WithoutRealPicturesThereIsNoDistance) {
  EvaluateConfig config = small("alone");
  config.data.clear();
  config.rows = "base";
  config.resolution = 128;
  const Evaluation evaluation = evaluate(config);
  EXPECT_FALSE(evaluation.rows.at(0).result.frechet_latents);
  EXPECT_EQ(evaluation.rows.at(0).sheet.size(1), 128);
}

TEST_F(Evaluate, SaysWhatIsMissing) {
  EvaluateConfig config = small("missing");
  const auto message = [&] {
    return testing::message_of<InvalidRequest>([&] { evaluate(config); });
  };
  config.prompts.clear();
  EXPECT_THAT(message(), HasSubstr("--prompts"));
  config = small("missing");
  config.resolution = 100;
  EXPECT_THAT(message(), HasSubstr("no multiple of 8"));
  config = small("missing");
  config.rows = "real";
  EXPECT_THAT(message(), HasSubstr("--data"));
}

TEST_F(Evaluate, ModelsThatPredictVelocitiesAreMeasuredToo) {
  EvaluateConfig config = small("velocity");
  config.model = path("v.safetensors");
  config.rows = "base";
  testing::write_tiny_sdxl(config.model, [](Checkpoint& checkpoint) {
    checkpoint.prediction = Prediction::kV;
    checkpoint.metadata["modelspec.resolution"] = "64x64";
  });
  const RowResult velocity = evaluate(config).rows.at(0).result;
  config.model = path("tiny.safetensors");
  config.out = path("eps");
  const RowResult eps = evaluate(config).rows.at(0).result;
  EXPECT_TRUE(std::isfinite(*velocity.latent_std));
  EXPECT_NE(*velocity.latent_std, *eps.latent_std) << "the same weights, read otherwise";
}

}  // namespace
}  // namespace fourstep
