#include "distill/train_step.h"

#include <gtest/gtest.h>

#include "distill/tiny_distillation.h"
#include "sampling/parameterization.h"
#include "sampling/samplers.h"
#include "sampling/schedules.h"
#include "train/captions.h"
#include "train/loop.h"
#include "train/random.h"

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

using testing::is_equal;
using testing::kTinyShape;
using testing::perturb;
using testing::relative_difference;
using testing::tiny_batch;
using testing::tiny_distillation;

StepSchedule fixed_schedule(double cfg_scale, bool has_gan = false) {
  return {.is_student_turn = true,
          .has_gan = has_gan,
          .cfg_scale = cfg_scale,
          .student_lr = 1e-3,
          .critic_lr = 1e-3};
}

/// Draws of an iteration whose student takes `step` as its last step.
StepDraws draws_with_step(const DistillConfig& config, int64_t step) {
  for (int64_t i = 0;; ++i) {
    StepDraws draws = draw_step(config, 5, i, kTinyShape);
    if (draws.student_step == step) return draws;
  }
}

DistillConfig gan_config(const char* backbone = "shared") {
  DistillConfig config;
  config.backbone = backbone;
  config.gan_weight = 0.1;
  config.gan_start = 0;
  return config;
}

// The state of run_steps is x_t / alpha_t; both see the same noises.
TEST(SimulateStudent, EqualsTheLcmSamplerOfTheEngine) {
  Distillation d = tiny_distillation({});
  perturb(d.views.student.trainable, 0.01, 1);
  const Conditioning cond = testing::tiny_conditioning(3, 1);
  const NoiseSchedule schedule = make_sdxl_noise_schedule();
  const Network network = [&](const Tensor& x, const Tensor& timestep) {
    return d.views.student.eps(x, timestep.to(torch::kInt64), cond);
  };
  const torch::NoGradGuard no_grad;
  for (int64_t k = 0; k < 4; ++k) {
    const StepDraws draws = draws_with_step(d.config, k);
    const std::vector<double> list(d.config.timesteps.begin(), d.config.timesteps.begin() + k + 1);
    const auto sigmas = sigmas_from_timesteps(schedule, list);
    size_t next = 1;
    const StepNoise noise = [&](const Tensor&, double, double) { return draws.rollout.at(next++); };
    const Tensor first = initial_state(at::zeros(kTinyShape), draws.rollout[0], sigmas[0],
                                       NoiseScale::kUnitVariance);
    const Denoiser denoise = make_denoiser(network, schedule, NetworkOutput::kEps);
    const Tensor expected =
        sample(find_sampler("lcm"), {denoise, sigmas, schedule, {}, noise, {}}, first);
    EXPECT_EQ(next, draws.rollout.size());
    // fp32; at timestep 999 rounding of eps grows by sigma / alpha = 15.
    EXPECT_LT(relative_difference(simulate_student(d, cond, draws, false), expected), 2e-5) << k;
  }
}

TEST(SimulateStudent, GradientsFlowThroughTheLastStepAlone) {
  Distillation d = tiny_distillation({});
  int64_t num_calls = 0;
  std::vector<bool> has_gradient;
  const auto eps = d.views.student.eps;
  d.views.student.eps = [&](const Tensor& x, const Tensor& t, const Conditioning& cond) {
    ++num_calls;
    EXPECT_FALSE(x.requires_grad());
    has_gradient.push_back(at::GradMode::is_enabled());
    return eps(x, t, cond);
  };
  const StepDraws draws = draws_with_step(d.config, 2);
  EXPECT_TRUE(simulate_student(d, tiny_batch().cond, draws, true).requires_grad());
  EXPECT_EQ(has_gradient, (std::vector<bool>{false, false, true}));
  EXPECT_FALSE(simulate_student(d, tiny_batch().cond, draws, false).requires_grad());
  EXPECT_EQ(num_calls, 6);
}

TEST(TrainStep, AtTheStartTheGradientIsTheTermOfGuidanceAlone) {
  for (const bool is_decoupled : {false, true}) {
    Distillation d = tiny_distillation({.decoupled = is_decoupled});
    const DistillBatch batch = tiny_batch();
    const StepDraws draws = draws_with_step(d.config, 1);
    constexpr double kScale = 3;
    const StepResult result = train_step(d, batch, draws, fixed_schedule(kScale));

    const NoisedAt& at = is_decoupled ? draws.matching.guidance : draws.matching.matching;
    const Tensor x = d.levels.add_noise(result.x0, at.noise, at.timesteps);
    const Tensor cond = d.views.teacher.eps(x, at.timesteps, batch.cond);
    const Tensor uncond = d.views.teacher.eps(x, at.timesteps, null_condition(batch.cond));
    const Tensor guided = uncond + kScale * (cond - uncond);
    const Tensor expected =
        (kScale - 1) * (cond - uncond) / (guided - at.noise).abs().mean({1, 2, 3}, true);
    // Not to the bit: a batch of twice the size may take other kernels.
    EXPECT_LT(relative_difference(result.gradient, expected), 1e-5) << is_decoupled;
    EXPECT_GT(expected.norm().item<double>(), 0.1) << "or the test says nothing";
  }
}

TEST(TrainStep, WithoutGuidanceAnUntouchedStudentStays) {
  for (const bool is_decoupled : {false, true}) {
    DistillConfig config{.weight_decay = 0.1, .decoupled = is_decoupled};
    Distillation d = tiny_distillation(config);
    const NamedTensors before = clone_tensors(d.views.student.trainable);
    const StepResult result =
        train_step(d, tiny_batch(), draws_with_step(config, 1), fixed_schedule(1));
    EXPECT_EQ(result.gradient.abs().max().item<double>(), 0);
    EXPECT_EQ(result.matching_loss, 0.0);
    EXPECT_EQ(result.student_grad_norm, 0.0);
    for (const auto& [name, tensor] : d.views.student.trainable) {
      const Tensor decayed = before.at(name) * (1 - 1e-3 * config.weight_decay);
      EXPECT_TRUE(at::allclose(tensor, decayed, /*rtol=*/1e-6, /*atol=*/0)) << name;
    }
  }
}

TEST(TrainStep, TheCriticsFirstLossIsTheTeachersOwn) {
  Distillation d = tiny_distillation({});
  const DistillBatch batch = tiny_batch();
  const StepDraws draws = draws_with_step(d.config, 1);
  const StepResult result = train_step(d, batch, draws, fixed_schedule(1));
  const NoisedAt& at = draws.critic;
  const Tensor x = d.levels.add_noise(result.x0, at.noise, at.timesteps);
  const Tensor eps = d.views.teacher.eps(x, at.timesteps, batch.cond);
  EXPECT_EQ(result.critic_loss, at::mse_loss(eps, at.noise).item<double>());
}

TEST(TrainStep, EachTurnLeavesGradientsInItsOwnParametersAlone) {
  for (const char* backbone : {"shared", "separate"}) {
    Distillation d = tiny_distillation(gan_config(backbone));
    perturb(d.views.student.trainable, 0.01, 1);
    const auto count = [](const NamedTensors& parameters) {
      return std::count_if(parameters.begin(), parameters.end(),
                           [](const auto& item) { return item.second.grad().defined(); });
    };
    std::vector<std::pair<int64_t, int64_t>> counts;
    d.average_gradients = [&](const NamedTensors&) {
      counts.emplace_back(count(d.views.student.trainable), count(d.critic_parameters()));
      EXPECT_EQ(count(parameters_of(*d.views.teacher.unet)), 0);
    };
    train_step(d, tiny_batch(), draws_with_step(d.config, 1), fixed_schedule(3, true));
    const auto num_student = static_cast<int64_t>(d.views.student.trainable.size());
    const auto num_critic = static_cast<int64_t>(d.critic_parameters().size());
    EXPECT_EQ(counts,
              (std::vector<std::pair<int64_t, int64_t>>{{num_student, 0}, {0, num_critic}}));
    EXPECT_EQ(count(d.views.student.trainable) + count(d.critic_parameters()), 0);
    for (const auto& [name, tensor] : d.critic_parameters()) EXPECT_TRUE(tensor.requires_grad());
  }
}

TEST(TrainStep, TheTeacherStaysBitForBit) {
  for (const char* backbone : {"shared", "separate"}) {
    const DistillConfig config = gan_config(backbone);
    Distillation d = tiny_distillation(config);
    const DistillBatch batch = tiny_batch();
    const NamedTensors before = clone_tensors(parameters_of(*d.views.teacher.unet));
    const Tensor t = torch::tensor({1, 500, 999}, torch::kInt64);
    const Tensor eps = d.views.teacher.eps(batch.real, t, batch.cond);
    const NamedTensors student = clone_tensors(d.views.student.trainable);
    for (int64_t i = 0; i < 3; ++i) {
      train_step(d, batch, draw_step(config, 1, i, kTinyShape), fixed_schedule(3, true));
    }
    EXPECT_TRUE(is_equal(parameters_of(*d.views.teacher.unet), before)) << backbone;
    EXPECT_TRUE(torch::equal(d.views.teacher.eps(batch.real, t, batch.cond), eps)) << backbone;
    EXPECT_FALSE(is_equal(d.views.student.trainable, student)) << "nothing was trained";
  }
}

TEST(TrainStep, OutsideOfItsTurnTheStudentStays) {
  Distillation d = tiny_distillation({});
  const NamedTensors student = clone_tensors(d.views.student.trainable);
  const NamedTensors critic = clone_tensors(d.critic_parameters());
  StepSchedule schedule = fixed_schedule(3);
  schedule.is_student_turn = false;
  const StepResult result = train_step(d, tiny_batch(), draws_with_step(d.config, 1), schedule);
  EXPECT_FALSE(result.gradient.defined());
  EXPECT_FALSE(result.matching_loss || result.gan_loss || result.student_grad_norm);
  EXPECT_TRUE(is_equal(d.views.student.trainable, student));
  EXPECT_FALSE(is_equal(d.critic_parameters(), critic));
}

TEST(TrainStep, TheCriticLearnsFromTheSampleBeforeTheStudentsUpdate) {
  Distillation d = tiny_distillation({});
  perturb(d.views.student.trainable, 0.01, 1);
  const DistillBatch batch = tiny_batch();
  const StepDraws draws = draws_with_step(d.config, 0);
  const Tensor before = simulate_student(d, batch.cond, draws, true).detach();
  const StepResult result = train_step(d, batch, draws, fixed_schedule(3));
  EXPECT_TRUE(torch::equal(result.x0, before));
  EXPECT_FALSE(torch::equal(simulate_student(d, batch.cond, draws, true), before));
}

TEST(TrainStep, TheDiscriminatorLearnsOnlyOnceTheGanHasBegun) {
  Distillation d = tiny_distillation(gan_config());
  const NamedTensors head = clone_tensors(parameters_of(*d.discriminator));
  const StepDraws draws = draws_with_step(d.config, 0);
  EXPECT_FALSE(train_step(d, tiny_batch(), draws, fixed_schedule(1)).discriminator_loss);
  EXPECT_TRUE(is_equal(parameters_of(*d.discriminator), head));
  EXPECT_TRUE(train_step(d, tiny_batch(), draws, fixed_schedule(1, true)).discriminator_loss);
  EXPECT_FALSE(is_equal(parameters_of(*d.discriminator), head));
}

/// Gradients of both turns before clipping, by parameter.
NamedTensors gradients_of(const DistillBatch& batch, const StepDraws& draws) {
  DistillConfig config = gan_config();
  config.max_grad_norm = 1e6;
  Distillation d = tiny_distillation(config);
  perturb(d.views.student.trainable, 0.01, 1);
  perturb(d.views.critic.trainable, 0.01, 2);
  NamedTensors gradients;
  d.average_gradients = [&](const NamedTensors& parameters) {
    const std::string turn = gradients.empty() ? "student/" : "critic/";
    for (const auto& [name, tensor] : parameters) gradients[turn + name] = tensor.grad().clone();
  };
  StepSchedule schedule = fixed_schedule(3, true);
  schedule.student_lr = 0;  // the second turn then starts from the same weights
  train_step(d, batch, draws, schedule);
  return gradients;
}

// All losses are means over the batch, so gradients of equal parts average to that of the whole.
TEST(TrainStep, PartsOfABatchAverageToTheWhole) {
  const DistillBatch whole = tiny_batch(4);
  const StepDraws draws = draw_step({}, 5, 1, {4, 4, 8, 8});
  const NamedTensors expected = gradients_of(whole, draws);
  std::vector<NamedTensors> parts;
  for (const int64_t begin : {0, 2}) {
    const DistillBatch part{rows_of(whole.cond, begin, 2), whole.real.narrow(0, begin, 2),
                            rows_of(whole.real_cond, begin, 2)};
    parts.push_back(gradients_of(part, part_of(draws, begin, 2, torch::kCPU)));
  }
  double error = 0, size = 0;
  for (const auto& [name, gradient] : expected) {
    const Tensor mean = (parts[0].at(name) + parts[1].at(name)) / 2;
    error += (mean - gradient).square().sum().item<double>();
    size += gradient.square().sum().item<double>();
  }
  EXPECT_LT(std::sqrt(error / size), 1e-4);
}

TEST(ScheduleOf, GuidanceRisesFromOneOverItsShareOfTheRun) {
  const DistillConfig config{.iterations = 1000, .cfg_scale = 5, .cfg_ramp = 0.2};
  EXPECT_EQ(schedule_of(config, 0).cfg_scale, 1);
  EXPECT_DOUBLE_EQ(schedule_of(config, 100).cfg_scale, 3);
  EXPECT_DOUBLE_EQ(schedule_of(config, 200).cfg_scale, 5);
  EXPECT_DOUBLE_EQ(schedule_of(config, 999).cfg_scale, 5);
  const DistillConfig at_once{.iterations = 1000, .cfg_scale = 5, .cfg_ramp = 0};
  EXPECT_EQ(schedule_of(at_once, 0).cfg_scale, 5);
}

TEST(ScheduleOf, TheStudentHasItsTurnEveryFewIterations) {
  std::vector<int64_t> turns;
  for (int64_t i = 0; i < 12; ++i) {
    if (schedule_of({.critic_ratio = 5}, i).is_student_turn) turns.push_back(i);
    EXPECT_TRUE(schedule_of({.critic_ratio = 1}, i).is_student_turn);
  }
  EXPECT_EQ(turns, (std::vector<int64_t>{0, 5, 10}));
}

TEST(ScheduleOf, TheGanBeginsAtItsShareOfTheRunAndNeverWithoutWeight) {
  DistillConfig config{.iterations = 100, .gan_weight = 0.1, .gan_start = 0.5};
  EXPECT_FALSE(schedule_of(config, 49).has_gan);
  EXPECT_TRUE(schedule_of(config, 50).has_gan);
  config.gan_weight = 0;
  EXPECT_FALSE(schedule_of(config, 99).has_gan);
}

TEST(ScheduleOf, RatesWarmUpAndTheStudentsFalls) {
  const DistillConfig config{.iterations = 1020,
                             .student_lr = 1e-3,
                             .critic_lr = 2e-3,
                             .warmup = 20,
                             .last_lr_share = 0.1};
  EXPECT_DOUBLE_EQ(schedule_of(config, 0).student_lr, 1e-3 / 20);
  EXPECT_DOUBLE_EQ(schedule_of(config, 0).critic_lr, 2e-3 / 20);
  EXPECT_DOUBLE_EQ(schedule_of(config, 19).student_lr, 1e-3);
  EXPECT_DOUBLE_EQ(schedule_of(config, 20).student_lr, 1e-3);
  EXPECT_DOUBLE_EQ(schedule_of(config, 520).student_lr, 1e-3 * 0.55)
      << "half way between 1 and 0.1";
  EXPECT_NEAR(schedule_of(config, 1019).student_lr, 1e-4, 1e-8);
  EXPECT_DOUBLE_EQ(schedule_of(config, 1019).critic_lr, 2e-3);
}

// Gradient checkpointing: two roles on one network, whose backward passes come after both.
TEST(TrainStep, RecomputedBlocksChangeNoBit) {
  for (const bool is_decoupled : {false, true}) {
    DistillConfig config;
    config.decoupled = is_decoupled;
    const auto learned = [&](bool is_recomputed) {
      config.gradient_checkpointing = is_recomputed;
      Distillation d = tiny_distillation(config);
      perturb(d.views.student.trainable, 0.01, 1);
      perturb(d.views.critic.trainable, 0.01, 2);
      for (int64_t step = 0; step < 2; ++step) {
        train_step(d, tiny_batch(), draws_with_step(config, step), fixed_schedule(1.5));
      }
      EXPECT_EQ(d.views.student.extras.checkpointing, is_recomputed);
      return std::pair{clone_tensors(d.views.student.trainable),
                       clone_tensors(d.critic_parameters())};
    };
    const auto plain = learned(false), recomputed = learned(true);
    EXPECT_TRUE(is_equal(recomputed.first, plain.first));
    EXPECT_TRUE(is_equal(recomputed.second, plain.second));
  }
}

TEST(TrainStep, RecomputedBlocksServeAGanAndASeparateBackbone) {
  for (const char* backbone : {"shared", "separate"}) {
    DistillConfig config = gan_config(backbone);
    const auto learned = [&](bool is_recomputed) {
      config.gradient_checkpointing = is_recomputed;
      Distillation d = tiny_distillation(config);
      perturb(d.views.student.trainable, 0.01, 1);
      const StepResult result =
          train_step(d, tiny_batch(), draws_with_step(config, 1), fixed_schedule(1.5, true));
      return std::pair{*result.student_grad_norm, result.critic_grad_norm};
    };
    const auto plain = learned(false), recomputed = learned(true);
    // The critic is in the losses three times: its gradients are sums in another order.
    EXPECT_NEAR(recomputed.first, plain.first, 1e-5 * plain.first) << backbone;
    EXPECT_NEAR(recomputed.second, plain.second, 1e-5 * plain.second) << backbone;
  }
}

}  // namespace
}  // namespace fourstep
