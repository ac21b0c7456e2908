#include "io/scaled_fp8.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "base/error.h"

namespace fourstep {
namespace {

TEST(ScaledFp8, WeightsAreMultipliedByTheirScaleAndMarksRemoved) {
  const Tensor weight =
      torch::tensor({1.0, -2.5, 448.0, 0.5}).view({2, 2}).to(torch::kFloat8_e4m3fn);
  const NamedTensors out = apply_fp8_scales({{"unet.a.weight", weight},
                                             {"unet.a.scale_weight", torch::tensor(0.25f)},
                                             {"unet.a.scale_input", torch::tensor(1.0f)},
                                             {"unet.a.bias", torch::zeros({2})},
                                             {"unet.scaled_fp8", torch::zeros({0})}},
                                            "x.safetensors");
  EXPECT_EQ(out.size(), 2u);
  EXPECT_EQ(out.at("unet.a.weight").scalar_type(), torch::kHalf);
  EXPECT_TRUE(torch::equal(out.at("unet.a.weight").to(torch::kFloat),
                           torch::tensor({0.25f, -0.625f, 112.0f, 0.125f}).view({2, 2})));
}

TEST(ScaledFp8, PlainCastsStayAsTheyAre) {
  const Tensor weight = torch::ones({2, 2}).to(torch::kFloat8_e5m2);
  const NamedTensors out = apply_fp8_scales({{"a.weight", weight}}, "x");
  EXPECT_EQ(out.at("a.weight").scalar_type(), torch::kFloat8_e5m2);
}

TEST(ScaledFp8, AScaleOfSeveralNumbersIsRefused) {
  EXPECT_THROW(apply_fp8_scales({{"a.weight", torch::ones({2, 2}).to(torch::kFloat8_e4m3fn)},
                                 {"a.scale_weight", torch::ones({2})}},
                                "x"),
               Error);
}

}  // namespace
}  // namespace fourstep
