#include "evaluate/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "sampling/schedules.h"
#include "support/files.h"
#include "support/tiny_run.h"

namespace fourstep {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

EvaluateConfig with_student() {
  EvaluateConfig config;
  config.model = "model.safetensors";
  config.lora = "a.safetensors:0.5;b.safetensors";
  return config;
}

std::vector<std::string> names_of(const EvaluateConfig& config) {
  std::vector<std::string> names;
  for (const EvaluationRow& row : rows_of(config, true)) names.push_back(row.name());
  return names;
}

TEST(EvaluationRows, ByDefaultAreThoseOfTheComparison) {
  EXPECT_THAT(names_of(with_student()),
              ElementsAre("real pictures", "teacher, 50 steps", "base, 4 steps", "student, 1 step",
                          "student, 2 steps", "student, 4 steps", "student, 5 steps",
                          "student, 8 steps", "student, 12 steps", "student, 32 steps"));
}

TEST(EvaluationRows, OnlyTheStudentHasTheLoras) {
  const std::vector<EvaluationRow> rows = rows_of(with_student(), true);
  EXPECT_TRUE(rows[0].model.empty());
  EXPECT_TRUE(rows[1].loras.empty());
  EXPECT_TRUE(rows[2].loras.empty());
  EXPECT_THAT(rows[3].loras,
              ElementsAre(LoraUse{"a.safetensors", 0.5, 0.5}, LoraUse{"b.safetensors", 1, 1}));
  EXPECT_EQ(rows[1].sampling.cfg_scale, 3);
  EXPECT_EQ(rows[2].sampling.cfg_scale, 1);
  EXPECT_EQ(rows[2].sampling.sampler, "lcm");
}

TEST(EvaluationRows, AStudentMayBeAModelOfItsOwn) {
  EvaluateConfig config = with_student();
  config.lora.clear();
  config.student = "student.safetensors";
  config.rows = "base; student";
  config.student_steps = {4};
  const std::vector<EvaluationRow> rows = rows_of(config, true);
  EXPECT_EQ(rows[0].model, "model.safetensors");
  EXPECT_EQ(rows[1].model, "student.safetensors");
}

TEST(EvaluationRows, StudentsBeginAtTheLastTimestep) {
  const NoiseSchedule schedule = make_sdxl_noise_schedule();
  const auto first_sigma = [&](int64_t steps) {
    const SamplingSettings options = student_sampling({}, steps);
    return options.timesteps.empty()
               ? make_sigmas(options.schedule, schedule, static_cast<int>(*options.steps))[0]
               : sigmas_from_timesteps(schedule, options.timesteps)[0];
  };
  for (const int64_t steps : {1, 2, 4, 5, 8, 12, 32}) {
    EXPECT_THAT(first_sigma(steps), DoubleEq(schedule.sigmas.back())) << steps;
  }
  EXPECT_EQ(make_sigmas("dmd2", schedule, 2),
            sigmas_from_timesteps(schedule, std::vector<double>{999, 499}));
}

TEST(EvaluationRows, RefuseWhatCannotBeEvaluated) {
  const auto message = [](const std::function<void(EvaluateConfig&)>& change) {
    EvaluateConfig config = with_student();
    change(config);
    return testing::message_of<InvalidRequest>([&] { rows_of(config, true); });
  };
  EXPECT_THAT(message([](auto& c) { c.rows = "teachers"; }), HasSubstr("\"teachers\""));
  EXPECT_THAT(message([](auto& c) {
                c.rows = "base";
                c.base_steps.clear();
              }),
              HasSubstr("nothing"));
  EXPECT_THAT(message([](auto& c) { c.model = ""; }), HasSubstr("--model"));
  EXPECT_THAT(message([](auto& c) { c.lora = ""; }), HasSubstr("--lora"));
  EXPECT_THAT(message([](auto& c) { c.teacher_sampler = "best"; }), HasSubstr("best"));
  EXPECT_THAT(message([](auto& c) { c.teacher_schedule = "best"; }), HasSubstr("best"));
}

TEST(EvaluationRows, RealPicturesAreThereOnlyWhereTheyAreDrawn) {
  EvaluateConfig config = with_student();
  EXPECT_EQ(rows_of(config, false).front().kind, RowKind::kTeacher);
  config.rows = "real";
  EXPECT_THAT(testing::message_of<InvalidRequest>([&] { rows_of(config, false); }),
              HasSubstr("--emoji"));
}

/// What `generate` makes is what is measured.
class SampledPictures : public testing::TinyRun {
 protected:
  static constexpr int64_t kSide = 64;
  static constexpr uint64_t kSeed = 30;

  EvaluationRow row(const std::string& sampler, const std::string& schedule, double cfg_scale) {
    return {RowKind::kTeacher,
            model(),
            {},
            {.steps = 3, .sampler = sampler, .schedule = schedule, .cfg_scale = cfg_scale}};
  }

  /// The largest difference from images that are generated one by one, relative to their spread.
  double difference(Models& models, const EvaluationRow& row,
                    const std::vector<std::string>& captions) {
    const PromptSet set{.name = "prompts", .captions = captions, .first_seed = kSeed};
    const Tensor latents = sampled_pictures(models, row, kSide)(set, 0, set.count()).latents;
    double largest = 0;
    for (int64_t i = 0; i < set.count(); ++i) {
      Request one = request();
      one.prompt.text = captions[static_cast<size_t>(i)];
      one.picture.seed = kSeed + static_cast<uint64_t>(i);
      one.sampling = row.sampling;
      const Tensor expected = run(models, one).front().latent;
      const Tensor error = (latents.narrow(0, i, 1) - expected).abs().max() / expected.std();
      largest = std::max(largest, error.item<double>());
    }
    return largest;
  }
};

TEST_F(SampledPictures, AreThoseOfGenerateWithTheSamePromptAndSeed) {
  Models models(request().files, {});
  const std::vector<std::string> captions{"a cat", "a fox", "a fat cat"};
  for (const auto& [sampler, schedule, cfg_scale] :
       {std::tuple{"lcm", "dmd2", 1.0}, std::tuple{"dpmpp_2m", "karras", 3.0},
        std::tuple{"euler_ancestral", "normal", 1.0}, std::tuple{"dpmpp_2m_sde", "karras", 2.0},
        std::tuple{"euler_cfg_pp", "normal", 1.5}}) {
    EXPECT_LT(difference(models, row(sampler, schedule, cfg_scale), captions), 1e-4) << sampler;
  }
}

TEST_F(SampledPictures, PromptsThatCannotShareABatchAreSampledOneByOne) {
  Models models(request().files, {});
  std::string longer = "a cat";
  for (int i = 0; i < 80; ++i) longer += " at";
  const std::vector<std::string> captions{"a cat", "(a fox:1.3)", "a cat AND a fox", longer};
  EXPECT_LT(difference(models, row("lcm", "dmd2", 1), captions), 1e-4);
}

}  // namespace
}  // namespace fourstep
