#include "distill/losses.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include "train/random.h"

namespace fourstep {
namespace {

constexpr double kScale = 4;
const Shape kSmallShape = {3, 4, 2, 2};

Tensor normal(uint64_t seed) {
  return at::randn(kSmallShape, at::make_generator<at::CPUGeneratorImpl>(seed), torch::kFloat64);
}

NoiseLevels levels() {
  const NoiseLevels single = noise_levels_of(make_sdxl_noise_schedule());
  return {single.alphas.to(torch::kFloat64), single.sigmas.to(torch::kFloat64)};
}

Tensor cleaner(const Tensor& t) { return t.to(torch::kFloat64).div(1000).view({-1, 1, 1, 1}); }

/// Some smooth predictions that depend on the noise level, all different.
TeacherEps teacher(const Tensor& x, const Tensor& t) {
  return {(0.7 * x + cleaner(t)).sin(), (0.5 * x).cos() - cleaner(t)};
}
Tensor critic(const Tensor& x, const Tensor& t) { return 0.6 * x + 0.1 * cleaner(t); }

NoisedAt at_levels(std::vector<int64_t> timesteps, uint64_t seed) {
  return {torch::tensor(timesteps), normal(seed)};
}

/// Estimates of x0 at a noise level, as the papers write the method.
struct Estimates {
  Tensor cond, uncond, critic;
  Tensor guided(double scale) const { return uncond + scale * (cond - uncond); }
};
Estimates estimates(const Tensor& x0, const NoisedAt& at) {
  const NoiseLevels l = levels();
  const Tensor x = l.add_noise(x0, at.noise, at.timesteps);
  const TeacherEps eps = teacher(x, at.timesteps);
  const auto x0_of = [&](const Tensor& e) { return l.x0_from_eps(x, e, at.timesteps); };
  return {x0_of(eps.cond), x0_of(eps.uncond), x0_of(critic(x, at.timesteps))};
}

Tensor mean_size(const Tensor& x) { return x.abs().mean({1, 2, 3}, true); }

double largest(const Tensor& x) { return x.abs().max().item<double>(); }

// 2405.14867, equation 7 with the published program's weight, all in terms of x0.
TEST(MatchingGradient, IsTheDifferenceOfX0EstimatesOverTheTeachersMeanError) {
  const Tensor x0 = normal(1);
  const NoisedAt at = at_levels({20, 400, 980}, 2);
  const Estimates mu = estimates(x0, at);
  const Tensor guided = mu.guided(kScale);
  const Tensor expected = (mu.critic - guided) / mean_size(x0 - guided);
  const Tensor got = distribution_matching_gradient(x0, at, levels(), teacher, critic, kScale);
  EXPECT_LT(largest(got - expected), 1e-10);
}

TEST(MatchingGradient, DecoupledIsMatchingWithoutGuidancePlusGuidanceAtItsOwnLevels) {
  const Tensor x0 = normal(1);
  const DecoupledAt at{at_levels({20, 400, 980}, 2), at_levels({30, 100, 200}, 3)};
  const Estimates mu = estimates(x0, at.matching), own = estimates(x0, at.guidance);
  const Tensor expected =
      (mu.critic - mu.cond) / mean_size(x0 - mu.cond) +
      (kScale - 1) * (own.uncond - own.cond) / mean_size(x0 - own.guided(kScale));
  EXPECT_LT(largest(decoupled_gradient(x0, at, levels(), teacher, critic, kScale) - expected),
            1e-10);
}

TEST(MatchingGradient, WithoutGuidanceBothFormsAreOne) {
  const Tensor x0 = normal(1);
  const DecoupledAt at{at_levels({20, 400, 980}, 2), at_levels({30, 100, 200}, 3)};
  const auto cond_alone = [](const Tensor& x, const Tensor& t) {
    return TeacherEps{teacher(x, t).cond, {}};
  };
  const Tensor coupled =
      distribution_matching_gradient(x0, at.matching, levels(), cond_alone, critic, 1);
  EXPECT_TRUE(torch::equal(decoupled_gradient(x0, at, levels(), cond_alone, critic, 1), coupled));
}

TEST(MatchingGradient, IsZeroWhereCriticAndTeacherAgree) {
  const auto same = [](const Tensor& x, const Tensor& t) { return teacher(x, t).cond; };
  const DecoupledAt at{at_levels({20, 400, 980}, 2), at_levels({30, 100, 200}, 3)};
  EXPECT_EQ(largest(decoupled_gradient(normal(1), at, levels(), teacher, same, 1)), 0);
}

TEST(MatchingGradient, PointsFromTheTeachersEstimateToTheCritics) {
  // The teacher sees data at +1, the critic samples at -1: x0 has to rise, and it moves against g.
  const NoiseLevels l = levels();
  const auto eps_of_data_at = [&](double value) {
    return [&l, value](const Tensor& x, const Tensor& t) {
      const Tensor alpha = l.alphas.index_select(0, t).view({-1, 1, 1, 1});
      return (x - alpha * value) / l.sigmas.index_select(0, t).view({-1, 1, 1, 1});
    };
  };
  const auto data = eps_of_data_at(1), samples = eps_of_data_at(-1);
  const TeacherFunction at_one = [&](const Tensor& x, const Tensor& t) {
    return TeacherEps{data(x, t), {}};
  };
  const Tensor x0 = torch::full(kSmallShape, -1.0, torch::kFloat64);
  const Tensor g =
      distribution_matching_gradient(x0, at_levels({20, 400, 980}, 2), l, at_one, samples, 1);
  // mu_C - mu_T = -2 and |x0 - mu_T| = 2.
  EXPECT_LT(largest(g + 1), 1e-9);
}

TEST(MatchingGradient, StaysFiniteWhereTheTeacherIsExact) {
  const NoisedAt at = at_levels({20, 400, 980}, 2);
  const TeacherFunction exact = [&](const Tensor&, const Tensor&) {
    return TeacherEps{at.noise, {}};
  };
  const auto off_by = [&](double value) {
    return distribution_matching_gradient(
        normal(1), at, levels(), exact,
        [&](const Tensor&, const Tensor&) { return at.noise - value; }, 1);
  };
  EXPECT_LT(largest(off_by(0.005) - 5), 1e-9) << "divided by 1e-3 at least";
  EXPECT_EQ(largest(off_by(0.5) - 10), 0) << "at most 10";
  EXPECT_EQ(largest(off_by(-0.5) + 10), 0);
  EXPECT_EQ(largest(off_by(NAN)), 0);
}

TEST(MatchingGradient, RecordsNoGradients) {
  const Tensor x0 = normal(1).requires_grad_(true);
  const DecoupledAt at{at_levels({20, 400, 980}, 2), at_levels({30, 100, 200}, 3)};
  EXPECT_FALSE(distribution_matching_gradient(x0, at.matching, levels(), teacher, critic, kScale)
                   .requires_grad());
  EXPECT_FALSE(decoupled_gradient(x0, at, levels(), teacher, critic, kScale).requires_grad());
}

TEST(MatchingLoss, HasTheGradientGOverN) {
  const Tensor x0 = normal(1).requires_grad_(true), g = normal(2);
  matching_loss(x0, g).backward();
  EXPECT_LT(largest(x0.grad() - g / g.numel()), 1e-15);
}

// Finite differences around x0, its target x0 - g held where it is.
TEST(MatchingLoss, ChangesWithX0AsItsGradientSays) {
  const Tensor x0 = normal(1), g = normal(2), target = x0 - g;
  constexpr double kStep = 1e-4;
  for (const int64_t i : {0, 17, 47}) {
    Tensor offset = at::zeros_like(x0);
    offset.view({-1})[i] = kStep;
    const auto loss_at = [&](const Tensor& x) {
      return matching_loss(x, x - target).item<double>();
    };
    const double slope = (loss_at(x0 + offset) - loss_at(x0 - offset)) / (2 * kStep);
    EXPECT_NEAR(slope, g.view({-1})[i].item<double>() / static_cast<double>(g.numel()), 1e-12);
  }
}

TEST(MatchingLoss, IsHalfTheMeanSquareOfG) {
  const Tensor g = normal(2);
  EXPECT_NEAR(matching_loss(normal(1), g).item<double>(), 0.5 * g.square().mean().item<double>(),
              1e-12);
}

TEST(CriticLoss, IsTheMeanSquaredErrorOfTheNoiseAndLeavesX0Alone) {
  const Tensor x0 = normal(1).requires_grad_(true);
  const Tensor factor = torch::tensor(0.3, torch::kFloat64).requires_grad_(true);
  const NoisedAt at = at_levels({0, 500, 999}, 2);
  const Tensor loss =
      critic_loss(x0, at, levels(), [&](const Tensor& x, const Tensor&) { return factor * x; });
  const Tensor x_t = levels().add_noise(x0.detach(), at.noise, at.timesteps);
  EXPECT_NEAR(loss.item<double>(), (0.3 * x_t - at.noise).square().mean().item<double>(), 1e-12);
  loss.backward();
  EXPECT_FALSE(x0.grad().defined());
  EXPECT_NEAR(factor.grad().item<double>(),
              (2 * (0.3 * x_t - at.noise) * x_t).mean().item<double>(), 1e-12);
}

TEST(TeacherEps, GuidanceGoesFromUncondThroughCond) {
  const Tensor cond = normal(1), uncond = normal(2);
  const TeacherEps eps{cond, uncond};
  EXPECT_LT(largest(eps.guided(1) - cond), 1e-14);
  EXPECT_LT(largest(eps.guided(0) - uncond), 1e-14);
  EXPECT_LT(largest(eps.guided(3) - (3 * cond - 2 * uncond)), 1e-14);
  EXPECT_TRUE(torch::equal((TeacherEps{cond, {}}).guided(7), cond))
      << "there is nothing to guide away from";
}

std::vector<Shape> kernel_shapes(Discriminator& head) {
  std::vector<Shape> shapes;
  for (Conv2d& conv : *head->convs) shapes.push_back(shape_of(conv->weight));
  return shapes;
}

// sd_guidance.py, lines 107-122: three blocks with stride from 32 to 4, one convolution over the rest, one number.
TEST(Discriminator, OnSdxlsMiddleBlockItIsThePublishedHead) {
  Discriminator head(1280, 32);
  const Shape kernel = {1280, 1280, 4, 4};
  EXPECT_EQ(kernel_shapes(head), (std::vector<Shape>{kernel, kernel, kernel, kernel}));
  EXPECT_EQ((*head->convs)[0]->options.stride, 2);
  EXPECT_EQ((*head->convs)[2]->options.padding, 1);
  EXPECT_EQ((*head->convs)[3]->options.stride, 4);
  EXPECT_EQ((*head->convs)[3]->options.padding, 0);
  int64_t count = 0;
  for (const auto& [name, tensor] : parameters_of(*head)) count += tensor.numel();
  // 4 convolutions and norms with biases, and the last 1x1 convolution.
  EXPECT_EQ(count, 4 * (1280 * 1280 * 16 + 1280 + 2 * 1280) + 1280 + 1);
}

TEST(Discriminator, TheLastConvolutionSpansWhatIsLeftOfAnyMap) {
  for (const auto& [side, count, last] : {std::tuple{2, 1, 2}, {4, 1, 4}, {5, 2, 2}, {16, 3, 4}}) {
    Discriminator head(32, side);
    ASSERT_EQ(head->convs->size(), static_cast<size_t>(count)) << side;
    EXPECT_EQ(head->convs->back()->options.kernel, last) << side;
    initialize(*head, {});
    EXPECT_EQ(shape_of(head(torch::zeros({3, 32, side, side}))), Shape{3}) << side;
  }
}

TEST(Discriminator, HalfPrecisionFeaturesAreJudgedInFp32) {
  Discriminator head(64, 4);
  initialize(*head, {});
  const Tensor features =
      torch::linspace(-2, 2, 2 * 64 * 16).view({2, 64, 4, 4}).to(torch::kBFloat16);
  const Tensor logits = head(features);
  EXPECT_EQ(logits.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(torch::equal(logits, head(features.to(torch::kFloat32))));
}

TEST(GanLosses, AreLogisticAtAnyLogit) {
  const Tensor logits = torch::tensor({-60.0, -1.0, 0.0, 2.0, 60.0}, torch::kFloat64);
  for (int64_t i = 0; i < logits.numel(); ++i) {
    const Tensor one = logits.slice(0, i, i + 1);
    const double value = one.item<double>();
    // -log of the probability that a sigmoid gives to "real"; log1p(exp) in the form without overflow.
    const double as_real = std::max(-value, 0.0) + std::log1p(std::exp(-std::abs(value)));
    EXPECT_NEAR(generator_gan_loss(one).item<double>(), as_real, 1e-8);
    EXPECT_NEAR(discriminator_loss(-one, one).item<double>(), 2 * as_real, 1e-8);
  }
  EXPECT_NEAR(generator_gan_loss(torch::zeros({4})).item<double>(), std::log(2), 1e-6);
  EXPECT_NEAR(discriminator_loss(torch::zeros({4}), torch::zeros({4})).item<double>(),
              2 * std::log(2), 1e-6);
}

TEST(GanLosses, AreMeansOverTheirOwnBatches) {
  const Tensor fake = torch::tensor({1.0, -2.0, 0.5}), real = torch::tensor({0.3, -1.0});
  double expected = 0;
  for (const double a : {1.0, -2.0, 0.5}) expected += std::log1p(std::exp(a)) / 3;
  for (const double a : {0.3, -1.0}) expected += std::log1p(std::exp(-a)) / 2;
  EXPECT_NEAR(discriminator_loss(fake, real).item<double>(), expected, 1e-6);
}

}  // namespace
}  // namespace fourstep
