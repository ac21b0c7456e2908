#include "evaluate/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "sampling/schedules.h"
#include "support/files.h"

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
    const SampleOptions options = student_sampling({}, steps);
    return options.timesteps.empty()
               ? make_sigmas(options.schedule, schedule, static_cast<int>(options.steps))[0]
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

}  // namespace
}  // namespace fourstep
