#include "sampling/prompt_parts.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

Denoiser always(double value) {
  return [value](const Tensor& x, const Tensor&) { return torch::full_like(x, value); };
}

const Tensor kLatent = torch::zeros({1, 4, 2, 2}, torch::kFloat64);
const Tensor kLevel = torch::ones({1});

TEST(PromptParts, PartsActByTheirDistanceFromUncond) {
  const PairDenoiser pair =
      compose_parts(in_two_calls(always(3), always(1)), 0.5, {{always(5), 2}});
  const CondUncond got = pair(kLatent, kLevel);
  EXPECT_TRUE(torch::equal(got.uncond, torch::full_like(kLatent, 1)));
  EXPECT_TRUE(torch::equal(got.cond, torch::full_like(kLatent, 1 + 0.5 * 2 + 2 * 4)));
  EXPECT_TRUE(torch::equal(combine_cfg(got, 3), torch::full_like(kLatent, 1 + 3 * 9)));
}

TEST(PromptParts, WithWeightsOfSumOneUncondHasNoInfluence) {
  const auto cond = [](double uncond) {
    return compose_parts(in_two_calls(always(3), always(uncond)), 0.25, {{always(5), 0.75}})(
               kLatent, kLevel)
        .cond;
  };
  EXPECT_TRUE(torch::equal(cond(1), cond(-7)));
  EXPECT_TRUE(
      torch::equal(sum_of_parts({{always(3), 0.25}, {always(5), 0.75}})(kLatent, kLevel), cond(1)));
}

}  // namespace
}  // namespace fourstep
