#include "distill/draws.h"

#include <gtest/gtest.h>

#include "distill/tiny_distillation.h"
#include "train/state_file.h"

namespace fourstep {
namespace {

using testing::is_equal;

const Shape kShape = {2, 4, 3, 3};

void add_noised(NamedTensors& all, const std::string& name, const NoisedAt& at) {
  add_prefixed(all, name, {{"t", at.timesteps}, {"noise", at.noise}});
}

/// Everything but the student's part, which depends on the list of timesteps.
NamedTensors common_draws(const StepDraws& draws) {
  NamedTensors all;
  add_noised(all, "matching", draws.matching.matching);
  add_noised(all, "gan", draws.gan);
  add_noised(all, "critic", draws.critic);
  add_noised(all, "fake", draws.fake);
  add_noised(all, "real", draws.real);
  return all;
}

NamedTensors all_draws(const StepDraws& draws) {
  NamedTensors all = common_draws(draws);
  add_noised(all, "guidance", draws.matching.guidance);
  for (size_t j = 0; j < draws.rollout.size(); ++j)
    all[fmt::format("rollout/{}", j)] = draws.rollout[j];
  return all;
}

void expect_range(const Tensor& timesteps, int64_t low, int64_t high) {
  EXPECT_EQ(timesteps.scalar_type(), torch::kInt64);
  EXPECT_EQ(timesteps.min().item<int64_t>(), low);
  EXPECT_EQ(timesteps.max().item<int64_t>(), high);
}

// With 20,000 uniform numbers out of 1000 each end is missed with a probability of 2e-9.
TEST(Draws, TimestepsFillTheRangesOfTheMethod) {
  DistillConfig config;
  bool has_seen[4] = {};
  for (int64_t i = 0; i < 12; ++i) {
    const StepDraws draws = draw_step(config, 3, i, {20000, 1, 1, 1});
    expect_range(draws.matching.matching.timesteps, 20, 980);
    const auto step = static_cast<int64_t>(config.timesteps.at(draws.student_step));
    expect_range(draws.matching.guidance.timesteps, 20, std::min<int64_t>(980, step - 1));
    for (const NoisedAt* at : {&draws.gan, &draws.critic, &draws.fake, &draws.real}) {
      expect_range(at->timesteps, 0, 999);
    }
    has_seen[draws.student_step] = true;
  }
  for (const bool is_seen : has_seen) EXPECT_TRUE(is_seen);
}

TEST(Draws, GuidanceStaysAtTheCleanestLevelBelowAnEvenCleanerStep) {
  DistillConfig config;
  config.timesteps = {10};
  expect_range(draw_step(config, 3, 0, {100, 1, 1, 1}).matching.guidance.timesteps, 20, 20);
}

TEST(Draws, NoiseIsStandardNormalAndThereIsOneForEachStepMade) {
  DistillConfig config;
  for (int64_t i = 0; i < 8; ++i) {
    const StepDraws draws = draw_step(config, 5, i, {64, 4, 8, 8});
    EXPECT_EQ(draws.rollout.size(), static_cast<size_t>(draws.student_step) + 1);
    for (const auto& [name, tensor] : all_draws(draws)) {
      if (name.ends_with("/t")) continue;
      EXPECT_EQ(shape_of(tensor), (Shape{64, 4, 8, 8})) << name;
      EXPECT_NEAR(tensor.mean().item<double>(), 0, 5 / std::sqrt(64 * 256.)) << name;  // five sigma
      EXPECT_NEAR(tensor.var().item<double>(), 1, 5 * std::sqrt(2 / (64 * 256.))) << name;
    }
  }
}

TEST(Draws, StepsOfTheStudentAreEquallyLikely) {
  DistillConfig config;
  int64_t counts[4] = {};
  constexpr int64_t kDraws = 4000;
  for (int64_t i = 0; i < kDraws; ++i) ++counts[draw_step(config, 7, i, {1, 1, 1, 1}).student_step];
  for (const int64_t count : counts) {
    EXPECT_NEAR(count, kDraws / 4, 5 * std::sqrt(kDraws * 0.25 * 0.75));  // five sigma
  }
}

TEST(Draws, EachPartHasNumbersOfItsOwn) {
  const NamedTensors all = all_draws(draw_step({}, 1, 0, kShape));
  for (const auto& [name, tensor] : all) {
    for (const auto& [other, tensor2] : all) {
      if (name >= other || tensor.dtype() != tensor2.dtype()) continue;
      EXPECT_FALSE(torch::equal(tensor, tensor2)) << name << " and " << other;
    }
  }
}

TEST(Draws, IterationsAndSeedsDiffer) {
  const NamedTensors here = all_draws(draw_step({}, 1, 0, kShape));
  for (const StepDraws& there : {draw_step({}, 1, 1, kShape), draw_step({}, 2, 0, kShape)}) {
    for (const auto& [name, tensor] : common_draws(there)) {
      EXPECT_FALSE(torch::equal(tensor, here.at(name))) << name;
    }
  }
  EXPECT_TRUE(is_equal(here, all_draws(draw_step({}, 1, 0, kShape))));
}

TEST(Draws, LeavingTheGanOutOrAnotherRatioOrStepListShiftsNoOtherPart) {
  DistillConfig with_gan;
  with_gan.gan_weight = 0.1;
  with_gan.critic_ratio = 1;
  with_gan.cfg_scale = 8;
  EXPECT_TRUE(is_equal(all_draws(draw_step({}, 1, 4, kShape)),
                       all_draws(draw_step(with_gan, 1, 4, kShape))));
  DistillConfig one_step;
  one_step.timesteps = {399};
  const StepDraws one = draw_step(one_step, 1, 4, kShape), four = draw_step({}, 1, 4, kShape);
  EXPECT_EQ(one.student_step, 0);
  EXPECT_TRUE(is_equal(common_draws(one), common_draws(four)));
  EXPECT_TRUE(torch::equal(one.rollout[0], four.rollout[0]));
}

TEST(Draws, PartsOfSeveralProcessesMakeUpTheWhole) {
  const StepDraws whole = draw_step({}, 9, 2, {6, 4, 2, 2});
  const StepDraws first = part_of(whole, 0, 4, torch::kCPU),
                  second = part_of(whole, 4, 2, torch::kCPU);
  EXPECT_EQ(first.student_step, whole.student_step);
  EXPECT_EQ(second.student_step, whole.student_step);
  NamedTensors joined = all_draws(first);
  for (const auto& [name, tensor] : all_draws(second))
    joined[name] = at::cat({joined.at(name), tensor});
  EXPECT_TRUE(is_equal(joined, all_draws(whole)));
}

}  // namespace
}  // namespace fourstep
