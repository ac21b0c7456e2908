#include "layers/packed_weights.h"

#include <gtest/gtest.h>

#include "base/processor.h"
#include "layers/layers.h"

namespace fourstep {
namespace {

const WeightTarget kBf16{torch::kBFloat16, torch::kCPU};

double distance(const Tensor& a, const Tensor& b) {
  return ((a - b).to(torch::kFloat32).abs().max() / b.to(torch::kFloat32).abs().max())
      .item<double>();
}

TEST(PackedWeights, ALinearGivesTheSameForAnyNumberOfRows) {
  torch::manual_seed(3);
  const torch::NoGradGuard no_grad;
  const NamedTensors weights{{"weight", torch::randn({96, 64})}, {"bias", torch::randn({96})}};
  Linear plain(64, 96), packed(64, 96);
  load_weights(*plain, weights, kBf16, "test");
  load_weights(*packed, weights, kBf16, "test");
  pack_weights(*packed);
  for (const int64_t rows : {1, 2, 77, 300}) {
    const Tensor x = torch::randn({2, rows, 64}).to(torch::kBFloat16);
    EXPECT_LE(distance(packed(x), plain(x)), 1.0 / 128) << rows << " rows";
  }
  EXPECT_EQ(is_placeholder(packed->weight), has_avx512_bf16())
      << "the plain weight must not stay in memory";
  EXPECT_EQ(packed->weight.scalar_type(), torch::kBFloat16);
}

TEST(PackedWeights, AConvolutionGivesTheSameWithAnyStrideAndSize) {
  torch::manual_seed(4);
  const torch::NoGradGuard no_grad;
  for (const Conv2dOptions& options : {Conv2dOptions{3, 1, 1}, {3, 2, 1}, {1, 1, 0}, {3, 2, 0}}) {
    const NamedTensors weights{{"weight", torch::randn({48, 32, options.kernel, options.kernel})},
                               {"bias", torch::randn({48})}};
    Conv2d plain(32, 48, options), packed(32, 48, options);
    load_weights(*plain, weights, kBf16, "test");
    load_weights(*packed, weights, kBf16, "test");
    pack_weights(*packed);
    for (const int64_t side : {8, 15}) {
      const Tensor x = torch::randn({1, 32, side, side + 4})
                           .to(torch::kBFloat16)
                           .contiguous(at::MemoryFormat::ChannelsLast);
      const Tensor got = packed(x), expected = plain(x);
      ASSERT_EQ(got.sizes(), expected.sizes());
      EXPECT_LE(distance(got, expected), 1.0 / 128) << options.kernel << " " << options.stride;
    }
  }
}

TEST(PackedWeights, AReplacedWeightCountsAtOnce) {
  const torch::NoGradGuard no_grad;
  Linear layer(16, 16, /*with_bias=*/false);
  load_weights(*layer, {{"weight", torch::zeros({16, 16})}}, kBf16, "test");
  pack_weights(*layer);
  const Tensor x = torch::eye(16).to(torch::kBFloat16), weight = torch::eye(16) * 3;
  set_weight(layer->weight, weight, kBf16);
  EXPECT_TRUE(torch::equal(layer(x).to(torch::kFloat32), weight));
  pack_weights(*layer);
  EXPECT_TRUE(torch::equal(layer(x).to(torch::kFloat32), weight));
}

TEST(PackedWeights, OtherTypesStayPlain) {
  Linear layer(4, 4, /*with_bias=*/false);
  load_weights(*layer, {{"weight", torch::eye(4)}}, {torch::kFloat32, torch::kCPU}, "test");
  pack_weights(*layer);
  EXPECT_FALSE(layer->packed.defined());
}

}  // namespace
}  // namespace fourstep
