#include "inspect/schedule_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "sampling/schedules.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

/// SDXL with the four-step LoRA; no vocabulary is needed here.
ModelFacts four_step_model() {
  ModelTraits traits;
  traits.loras = {{"dmd2_sdxl_4step_lora_fp16.safetensors", 1, 1, true, false}};
  return {traits, make_sdxl_noise_schedule(), {}};
}

ResolvedRequest resolved(const Request& asked, const ModelFacts& model) {
  return resolve(asked, model.traits);
}

TEST(ScheduleView, TheDefaultIsTheTrainedGrid) {
  const ModelFacts model = four_step_model();
  const ScheduleView view = view_schedule(resolved({}, model), model);
  ASSERT_EQ(view.levels.size(), 5u);
  // Timesteps and sigmas of DMD2, rounded; log SNR = -2 ln sigma.
  const double timesteps[] = {999, 749, 499, 249}, sigmas[] = {14.6146, 4.08173, 1.61289, 0.69320};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(view.levels[i].timestep, timesteps[i]);
    EXPECT_NEAR(view.levels[i].sigma, sigmas[i], 1e-4);
    EXPECT_NEAR(*view.levels[i].log_snr, -2 * std::log(sigmas[i]), 1e-4);
    EXPECT_EQ(view.levels[i].distance, 0);
  }
  EXPECT_EQ(view.levels[4].sigma, 0);
  EXPECT_FALSE(view.levels[4].timestep || view.levels[4].log_snr || view.levels[4].distance);
  EXPECT_EQ(view.distance.visited, 0);
  EXPECT_EQ(view.distance.missed, 0);
}

TEST(ScheduleView, FollowsTheDialect) {
  const ModelFacts model = four_step_model();
  Request asked;
  asked.sampling.schedule = "beta";
  EXPECT_EQ(view_schedule(resolved(asked, model), model).levels[1].timestep, 823) << "ComfyUI's";
  asked.sampling.dialect = Dialect::kA1111;
  EXPECT_NEAR(view_schedule(resolved(asked, model), model).levels[1].sigma, 10.60, 0.01);
}

TEST(ScheduleView, AllSchedulesAreListedEvenThoseThatCannotBeMade) {
  const ModelFacts model = four_step_model();
  Request asked;
  asked.sampling.steps = 12;
  const auto views = view_all_schedules(resolved(asked, model), model);
  EXPECT_EQ(views.size(), schedule_rows().size());
  const auto turbo = std::find_if(views.begin(), views.end(),
                                  [](const auto& view) { return view.schedule == "sd_turbo"; });
  ASSERT_NE(turbo, views.end());
  EXPECT_THAT(turbo->refusal, HasSubstr("10"));
  EXPECT_TRUE(json_from(*turbo).contains("refusal"));
  const std::string text = text_from_table(schedule_table(views));
  EXPECT_THAT(text, HasSubstr("linear_quadratic"));
  EXPECT_NO_THROW(schedule_svg(views, model));
}

TEST(ScheduleView, ExplicitListsHaveNoName) {
  const ModelFacts model = four_step_model();
  Request asked;
  asked.sampling.timesteps = {999, 499};
  const ScheduleView view = view_schedule(resolved(asked, model), model);
  EXPECT_EQ(view.schedule, "");
  EXPECT_EQ(view.levels.size(), 3u);
}

TEST(ScheduleView, JsonHasNullWhereThereIsNoNumber) {
  const ModelFacts model = four_step_model();
  const auto json = json_from(view_schedule(resolved({}, model), model));
  EXPECT_EQ(json["levels"].size(), 5u);
  EXPECT_EQ(json["levels"][0]["timestep"], 999);
  EXPECT_TRUE(json["levels"][4]["log_snr"].is_null());
}

TEST(ScheduleView, ThePlotShowsTheTrainedLevels) {
  const ModelFacts model = four_step_model();
  const std::string svg = schedule_svg({view_schedule(resolved({}, model), model)}, model);
  EXPECT_EQ(svg.rfind("<svg", 0), 0u);
  for (const char* name : {"dmd2", "t 999", "t 749", "t 499", "t 249"}) {
    EXPECT_THAT(svg, HasSubstr(name));
  }
}

}  // namespace
}  // namespace fourstep
