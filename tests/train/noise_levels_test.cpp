#include "train/noise_levels.h"

#include <gtest/gtest.h>

#include "support/golden.h"

namespace fourstep {
namespace {

// alpha and sigma of the published schedule (scaled linear, 0.00085 to 0.012), computed with Python in double.
TEST(NoiseLevels, AreThoseOfTheSdxlSchedule) {
  const NoiseLevels levels = noise_levels_of(make_sdxl_noise_schedule());
  const std::tuple<int64_t, double, double> rows[] = {
      {999, 0.068265, 0.997667}, {749, 0.237957, 0.971276}, {499, 0.526944, 0.849900},
      {399, 0.652753, 0.757571}, {249, 0.821847, 0.569708}, {0, 0.999575, 0.029155}};
  for (const auto& [t, alpha, sigma] : rows) {
    EXPECT_NEAR(levels.alphas[t].item<double>(), alpha, 6e-7) << t;
    EXPECT_NEAR(levels.sigmas[t].item<double>(), sigma, 6e-7) << t;
  }
  EXPECT_TRUE(at::allclose(levels.alphas.square() + levels.sigmas.square(), torch::ones({1000})));
}

TEST(NoiseLevels, X0ComesBackFromItsNoise) {
  const NoiseLevels levels = noise_levels_of(make_sdxl_noise_schedule());
  const Tensor x0 = draw_normal({1, "x0", 0}, {3, 4, 5, 5}),
               noise = draw_normal({1, "n", 0}, {3, 4, 5, 5});
  const Tensor t = torch::tensor({0, 500, 999}, torch::kInt64);
  const Tensor x_t = levels.add_noise(x0, noise, t);
  EXPECT_TRUE(at::allclose(x_t[2], 0.068265 * x0[2] + 0.997667 * noise[2], 1e-5, 1e-5));
  // At 999 rounding grows by 1 / alpha = 15.
  EXPECT_LT((levels.x0_from_eps(x_t, noise, t) - x0).abs().max().item<double>(), 1e-5);
}

TEST(StratifiedTimesteps, EachPartOfTheRangeHasOneInRandomOrder) {
  bool is_sorted = true;
  for (int64_t i = 0; i < 50; ++i) {
    const Tensor t = draw_stratified_timesteps({1, "t", i}, 1000, 20);
    const Tensor sorted = std::get<0>(t.sort());
    is_sorted &= torch::equal(sorted, t);
    const Tensor parts = sorted.div(50, "floor");
    EXPECT_TRUE(torch::equal(parts, torch::arange(20))) << parts;
  }
  EXPECT_FALSE(is_sorted);
}

TEST(StratifiedTimesteps, AllAreEquallyLikelyAtEveryPlace) {
  constexpr int64_t kDraws = 2000, kCount = 7;  // 7 does not divide 10
  Tensor counts = torch::zeros({kCount, 10}, torch::kFloat64);
  for (int64_t i = 0; i < kDraws; ++i) {
    const Tensor t = draw_stratified_timesteps({2, "t", i}, 10, kCount);
    for (int64_t place = 0; place < kCount; ++place) counts[place][t[place].item<int64_t>()] += 1;
  }
  const double expected = kDraws / 10.;
  const double deviation = std::sqrt(kDraws * 0.1 * 0.9);
  EXPECT_LT((counts - expected).abs().max().item<double>(), 5 * deviation);
}

// 2303.09556: min(snr, gamma) / snr when the loss is that of eps.
NoiseLevels levels_with(const std::vector<double>& ratios) {
  std::vector<double> alphas, sigmas;
  for (const double snr : ratios) {
    alphas.push_back(std::sqrt(snr / (1 + snr)));
    sigmas.push_back(std::sqrt(1 / (1 + snr)));
  }
  return {torch::tensor(alphas, torch::kFloat32), torch::tensor(sigmas, torch::kFloat32)};
}

TEST(HighNoiseWeight, RaisesNoisyLevelsAlone) {
  const NoiseLevels levels = levels_with({0.01, 0.25, 1.0, 20.0});
  const Tensor t = torch::tensor({1, 0, 2, 3}, torch::kInt64);
  EXPECT_TRUE(
      at::allclose(high_noise_weight(levels, t, 0.5), torch::tensor({2.f, 10.f, 1.f, 1.f}), 1e-5));
  EXPECT_TRUE(torch::equal(high_noise_weight(levels, t, 0), torch::ones({4}))) << "0: plain loss";
}

TEST(MinSnrWeight, HoldsDownCleanLevelsAlone) {
  const NoiseLevels levels = levels_with({0.01, 1.0, 5.0, 20.0, 500.0});
  const Tensor t = torch::tensor({4, 0, 1, 2, 3}, torch::kInt64);
  EXPECT_TRUE(at::allclose(min_snr_weight(levels, t, 5),
                           torch::tensor({0.01f, 1.f, 1.f, 1.f, 0.25f}), 1e-5));
  EXPECT_TRUE(torch::equal(min_snr_weight(levels, t, 0), torch::ones({5}))) << "0: plain loss";
}

struct Noised {
  Tensor x0 = torch::randn({3, 4, 2, 2}), noise = torch::randn({3, 4, 2, 2});
  Tensor timesteps = torch::tensor({0, 499, 999});
};

TEST(NoiseLevels, AVelocityLeadsBackToTheCleanLatentAsInSampling) {
  const NoiseSchedule schedule = make_sdxl_noise_schedule();
  const NoiseLevels levels = noise_levels_of(schedule);
  const Noised sample;
  const Tensor x_t = levels.add_noise(sample.x0, sample.noise, sample.timesteps);
  const Tensor v = levels.v_target(sample.x0, sample.noise, sample.timesteps);
  // The samplers' x is x_t / alpha.
  std::vector<double> sigmas, alphas;
  for (const int64_t t : {0, 499, 999}) {
    sigmas.push_back(schedule.sigmas[static_cast<size_t>(t)]);
    alphas.push_back(std::sqrt(schedule.alphas_cumprod[static_cast<size_t>(t)]));
  }
  const Tensor alpha = torch::tensor(alphas, torch::kFloat32).view({3, 1, 1, 1});
  const Tensor x0 = denoised_from_output(NetworkOutput::kV, x_t / alpha, v,
                                         torch::tensor(sigmas, torch::kFloat64));
  EXPECT_LT((x0 - sample.x0).abs().max().item<double>(), 2e-5);  // fp32, divided by alpha 0.068
}

TEST(MinSnrWeight, FollowsThePaperForBothPredictions) {
  const NoiseLevels levels = levels_with({9, 0.25});
  const Tensor timesteps = torch::tensor({0, 1});
  const Tensor eps = min_snr_weight(levels, timesteps, 5);
  EXPECT_NEAR(eps[0].item<double>(), 5.0 / 9, 1e-6);
  EXPECT_NEAR(eps[1].item<double>(), 1, 1e-6);
  const Tensor v = min_snr_weight(levels, timesteps, 5, NetworkOutput::kV);
  EXPECT_NEAR(v[0].item<double>(), 5.0 / 10, 1e-6);
  EXPECT_NEAR(v[1].item<double>(), 0.25 / 1.25, 1e-6);
  EXPECT_TRUE(torch::equal(min_snr_weight(levels, timesteps, 0), torch::ones({2})));
}

TEST(WeightedLoss, IsTheMeanOfTheSamplesErrors) {
  const Tensor prediction = torch::zeros({2, 1, 1, 2});
  const Tensor target = torch::tensor({1.0f, 3.0f, 2.0f, 2.0f}).view({2, 1, 1, 2});
  const Tensor loss = weighted_loss(prediction, target, torch::tensor({1.0f, 0.5f}));
  EXPECT_NEAR(loss.item<double>(), (5.0 + 0.5 * 4.0) / 2, 1e-6);
}

}  // namespace
}  // namespace fourstep
