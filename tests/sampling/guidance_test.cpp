#include "sampling/guidance.h"

#include <gtest/gtest.h>

#include "sampling/guidance_rescale.h"

namespace fourstep {
namespace {

Denoiser constant(Tensor value, int* calls = nullptr) {
  return [value, calls](const Tensor&, const Tensor&) {
    if (calls) ++*calls;
    return value;
  };
}

const Tensor kX = torch::zeros({1, 4, 2, 2});
const Tensor kSigma = torch::ones({1});

TEST(Cfg, ScaleOneMakesNoUncondCall) {
  int cond_calls = 0, uncond_calls = 0;
  const Denoiser cond = constant(torch::full({1, 4, 2, 2}, 3.0f), &cond_calls);
  const Denoiser uncond = constant(torch::full({1, 4, 2, 2}, 1.0f), &uncond_calls);
  EXPECT_TRUE(
      torch::equal(with_cfg(cond, uncond, 1 + 1e-10)(kX, kSigma), torch::full({1, 4, 2, 2}, 3.0f)));
  EXPECT_EQ(cond_calls, 1);
  EXPECT_EQ(uncond_calls, 0);
  with_cfg(cond, uncond, 1.001)(kX, kSigma);
  EXPECT_EQ(cond_calls, 2);
  EXPECT_EQ(uncond_calls, 1);
}

TEST(Cfg, EqualEstimatesAreLeftAlone) {
  const Tensor same = torch::rand({1, 4, 2, 2});
  EXPECT_TRUE(torch::allclose(with_cfg(constant(same), constant(same), 7.5)(kX, kSigma), same));
}

TEST(Cfg, ScaleZeroIsTheUncondEstimate) {
  const Tensor cond = torch::rand({1, 4, 2, 2}), uncond = torch::rand({1, 4, 2, 2});
  EXPECT_TRUE(torch::allclose(with_cfg(constant(cond), constant(uncond), 0)(kX, kSigma), uncond));
}

TEST(Cfg, OneDoubledBatchEqualsTwoCalls) {
  // A "network" whose output depends on the half of the batch, on x and on sigma.
  const Denoiser cond = [](const Tensor& x, const Tensor& s) {
    return 2 * x + s.view({-1, 1, 1, 1});
  };
  const Denoiser uncond = [](const Tensor& x, const Tensor& s) {
    return x - s.view({-1, 1, 1, 1});
  };
  int calls = 0;
  const Denoiser both = [&](const Tensor& x, const Tensor& s) {
    ++calls;
    EXPECT_EQ(x.size(0), 6);
    EXPECT_EQ(s.size(0), 6);
    return torch::cat(
        {uncond(x.narrow(0, 0, 3), s.narrow(0, 0, 3)), cond(x.narrow(0, 3, 3), s.narrow(0, 3, 3))});
  };
  const Tensor x = torch::rand({3, 4, 2, 2}), sigma = torch::rand({3});
  const Tensor batched = with_cfg(cond, in_one_batch(both), 6)(x, sigma);
  EXPECT_TRUE(torch::allclose(batched, with_cfg(cond, uncond, 6)(x, sigma)));
  EXPECT_EQ(calls, 1);
  with_cfg(cond, in_one_batch(both), 1)(x, sigma);
  EXPECT_EQ(calls, 1);
}

TEST(Rescale, OfNoiseEstimatesIsDiffusersFormulaOnThem) {
  const auto draw = [] { return torch::randn({2, 4, 3, 3}, torch::kFloat64); };
  const Tensor x = draw();
  const CondUncond eps{draw(), draw()};
  const double sigma = 1.7;
  const CondUncond denoised{x - eps.cond * sigma, x - eps.uncond * sigma};
  const Tensor expected = x - rescale_to_cond(combine_cfg(eps, 5), eps.cond, 0.7) * sigma;
  const Tensor got = combine_rescaled(x, sigma, denoised, 5, 0.7, NetworkOutput::kEps);
  EXPECT_TRUE(torch::allclose(got, expected, 1e-10, 1e-10));
  const Tensor plain = combine_rescaled(x, sigma, denoised, 5, 0, NetworkOutput::kV);
  EXPECT_TRUE(torch::allclose(plain, combine_cfg(denoised, 5), 1e-10, 1e-10)) << "share 0 is CFG";
}

}  // namespace
}  // namespace fourstep
