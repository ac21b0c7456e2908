#include "base/scaled_weight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "base/error.h"
#include "support/files.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

/// 6 outputs with 4 inputs in a kernel of 2x2, all small whole numbers: products are exact.
Tensor some_codes() {
  return torch::arange(96).remainder(13).sub(6).view({6, 4, 2, 2}).to(torch::kFloat8_e4m3fn);
}

Tensor per_output() { return torch::tensor({0.5F, 1.F, 2.F, -3.F, 0.25F, 8.F}); }

TEST(ScaledWeight, OneFactorMultipliesAll) {
  const Tensor promise = make_scaled_weight({some_codes(), torch::tensor({0.3F})});
  EXPECT_EQ(promise.sizes(), some_codes().sizes());
  EXPECT_TRUE(torch::equal(aligned(promise), some_codes().to(torch::kFloat) * 0.3F));
}

TEST(ScaledWeight, EveryViewHasTheFactorsOfItsOwnOutputs) {
  const Tensor promise = make_scaled_weight({some_codes(), per_output()});
  const Tensor truth = some_codes().to(torch::kFloat) * per_output().view({6, 1, 1, 1});
  const std::vector<std::function<Tensor(const Tensor&)>> views = {
      [](const Tensor& t) { return t; },
      [](const Tensor& t) { return t.narrow(0, 2, 3); },
      [](const Tensor& t) { return t.narrow(1, 1, 2); },
      [](const Tensor& t) { return t.narrow(0, 4, 2).narrow(2, 1, 1).squeeze(2); },
      [](const Tensor& t) { return t.transpose(0, 1); },
      [](const Tensor& t) { return t.flatten(1).t(); },
      [](const Tensor& t) { return t.flatten(1).narrow(0, 1, 4).narrow(1, 3, 9); },
      [](const Tensor& t) { return t.unsqueeze(2); },
      [](const Tensor& t) { return t.view({-1}).narrow(0, 5, 60); },
      [](const Tensor& t) { return t.detach().select(0, 3); }};
  for (size_t i = 0; i < views.size(); ++i) {
    EXPECT_TRUE(torch::equal(aligned(views[i](promise)), views[i](truth))) << "view " << i;
  }
}

TEST(ScaledWeight, RowsOfOneElementHaveTheirOwnFactorToo) {
  const Tensor codes = torch::ones({6}).to(torch::kFloat8_e5m2);
  EXPECT_TRUE(torch::equal(aligned(make_scaled_weight({codes, per_output()})), per_output()));
  const Tensor column = make_scaled_weight({codes.view({6, 1}), per_output()});
  EXPECT_TRUE(torch::equal(aligned(column.t()), per_output().view({1, 6})));
}

TEST(ScaledWeight, EmptyWeightsStayEmpty) {
  const Tensor codes = torch::zeros({0, 4}).to(torch::kFloat8_e4m3fn);
  EXPECT_EQ(aligned(make_scaled_weight({codes, torch::tensor({2.F})})).sizes(), codes.sizes());
}

TEST(ScaledWeight, CodesCannotBeReadWithoutTheirFactors) {
  const Tensor promise = make_scaled_weight({some_codes(), torch::tensor({2.F})});
  EXPECT_ANY_THROW(promise.to(torch::kCPU));
  EXPECT_ANY_THROW(torch::zeros(promise.sizes()).copy_(promise));
}

TEST(ScaledWeight, OtherTensorsAreNone) {
  EXPECT_EQ(scaled_weight_of(some_codes()), nullptr);
  EXPECT_EQ(scaled_weight_of(Tensor()), nullptr);
  EXPECT_THROW(aligned(torch::zeros({2}, torch::kMeta)), Error);
}

TEST(ScaledWeight, FactorsThatFitNoOutputsAreRefused) {
  EXPECT_THAT(testing::message_of<Error>([] {
                make_scaled_weight({some_codes(), torch::ones({4})});
              }),
              HasSubstr("4 factors for a weight of shape [6,4,2,2]"));
}

}  // namespace
}  // namespace fourstep
