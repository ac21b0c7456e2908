#include "guidance/method.h"

#include <gtest/gtest.h>

#include "guidance/rescale_cfg.h"

namespace fourstep {
namespace {

TEST(Cfg, GoesFromTheUncondEstimateThroughTheOther) {
  const CondUncond pair{torch::full({1}, 3.0), torch::full({1}, 1.0)};
  EXPECT_EQ(combine_cfg(pair, 0).item<double>(), 1);
  EXPECT_EQ(combine_cfg(pair, 1).item<double>(), 3);
  EXPECT_EQ(combine_cfg(pair, 7.5).item<double>(), 1 + 7.5 * 2);
  EXPECT_TRUE(is_neutral_scale(1 + 1e-10));
  EXPECT_FALSE(is_neutral_scale(1.001));
}

TEST(GuidanceMethod, ANoiseLevelBelongsToTheStepThatStartsAtOrAboveIt) {
  const std::vector<double> sigmas = {14, 3, 1, 0.3, 0};
  EXPECT_EQ(position_of(sigmas, 14).step, 0);
  EXPECT_EQ(position_of(sigmas, static_cast<double>(14.0f)).step, 0);
  EXPECT_EQ(position_of(sigmas, 7).step, 0);
  EXPECT_EQ(position_of(sigmas, 3).step, 1);
  EXPECT_EQ(position_of(sigmas, static_cast<double>(0.3f)).step, 3) << "0.3f is above 0.3";
  EXPECT_EQ(position_of(sigmas, 0).step, 3);
  EXPECT_EQ(position_of(sigmas, 99).step, 0);
  EXPECT_EQ(position_of(sigmas, 3).num_steps, 4);
}

TEST(GuidanceMethod, ImageByImageGivesEachItsOwnRows) {
  const Tensor x = torch::tensor({1.0, 2.0, 3.0}).view({3, 1, 1, 1});
  const CondUncond pair{x * 10, x * 100};
  const Tensor got = image_by_image(x, pair, [](const Tensor& own, const CondUncond& p) {
    return own + p.cond.sum() + p.uncond.sum();
  });
  EXPECT_TRUE(torch::equal(got, x * 111));
}

TEST(GuidanceMethod, OneRowServesABatchAndOtherCountsAreRefused) {
  const Tensor row = torch::rand({1, 7, 3});
  EXPECT_TRUE(torch::equal(rows_of_batch(row, 3)[2], row[0]));
  EXPECT_EQ(rows_of_batch(row, 1).data_ptr(), row.data_ptr());
  EXPECT_FALSE(rows_of_batch({}, 3).defined());
  EXPECT_THROW(rows_of_batch(torch::rand({2, 7, 3}), 3), Error);
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
