#include "layers/layers.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace fourstep {
namespace {

TEST(Layers, ANewLayerHoldsShapesButNoMemory) {
  Linear layer(1 << 20, 1 << 20);  // 4 TiB if it were real
  EXPECT_EQ(layer->weight.sizes(), (Shape{1 << 20, 1 << 20}));
  EXPECT_EQ(layer->weight.storage().nbytes(), sizeof(float));
}

TEST(Layers, LoadWeightsCastsAndLaysOut) {
  Conv2d layer(3, 5);
  const Tensor weight = torch::randn({5, 3, 3, 3}), bias = torch::randn({5});
  load_weights(*layer, {{"weight", weight}, {"bias", bias}}, {torch::kBFloat16, torch::kCPU},
               "test");
  EXPECT_EQ(layer->weight.scalar_type(), torch::kBFloat16);
  EXPECT_TRUE(layer->weight.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(torch::equal(layer->weight, weight.to(torch::kBFloat16)));
}

TEST(Layers, LoadWeightsNamesWhatIsMissing) {
  Linear layer(2, 3);
  try {
    load_weights(*layer, {{"weight", torch::zeros({3, 2})}}, {torch::kFloat32, torch::kCPU},
                 "x.st: unet");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("x.st: unet: 1 of 2 weights are missing (bias)"),
              std::string::npos)
        << error.what();
  }
}

TEST(Layers, AttentionEqualsTheFormula) {
  torch::manual_seed(1);
  const Tensor q = torch::randn({2, 5, 8}), k = torch::randn({2, 7, 8}),
               v = torch::randn({2, 7, 8});
  const Tensor got = attention(q, k, v, /*num_heads=*/2);
  for (int64_t head = 0; head < 2; ++head) {
    const auto part = [head](const Tensor& t) { return t.narrow(-1, head * 4, 4); };
    const Tensor weights = at::softmax(part(q).matmul(part(k).transpose(1, 2)) / 2.0, -1);
    EXPECT_TRUE(torch::allclose(part(got), weights.matmul(part(v)), 1e-5, 1e-6));
  }
}

TEST(GroupNorm, Bf16BatchesOfNarrowGroupsAgreeWithFp32AsOthersDo) {
  for (const int64_t channels : {64, 512}) {  // 2 and 16 to a group
    GroupNorm norm(32, channels, 1e-5);
    torch::manual_seed(1);
    const NamedTensors weights{{"weight", torch::randn({channels})},
                               {"bias", torch::randn({channels})}};
    const Tensor x = torch::randn({8, channels, 4, 4}).to(torch::kBFloat16);
    load_weights(*norm, weights, {}, "fp32");
    const Tensor expected = norm(x.to(torch::kFloat32));
    load_weights(*norm, weights, {.dtype = torch::kBFloat16}, "bf16");
    const Tensor y = norm(x);
    EXPECT_EQ(y.scalar_type(), torch::kBFloat16);
    EXPECT_LT(((y.to(torch::kFloat32) - expected).norm() / expected.norm()).item<double>(), 4e-3);
  }
}

}  // namespace
}  // namespace fourstep
