#include "nets/transformer.h"

#include "nets_golden.h"

namespace fourstep {
namespace {

using namespace testing;

TEST(Tokens, OfAChannelsLastMapAreAViewAndBack) {
  const Tensor map = seeded_randn({2, 8, 3, 5}, 1).contiguous(at::MemoryFormat::ChannelsLast);
  const Tensor tokens = tokens_from_map(map);
  EXPECT_EQ(tokens.sizes(), (Shape{2, 15, 8}));
  EXPECT_TRUE(tokens.is_contiguous());
  EXPECT_EQ(tokens.data_ptr(), map.data_ptr());
  EXPECT_TRUE(torch::equal(tokens[1][7], map[1].select(1, 1).select(1, 2)));  // row 1, column 2
  const Tensor back = map_from_tokens(tokens, 3, 5);
  EXPECT_EQ(back.data_ptr(), map.data_ptr());
  EXPECT_TRUE(torch::equal(back, map));
}

TEST(SpatialTransformer, ConvolutionAndMatrixProjectionsGiveTheSame) {
  const TransformerOptions linear{.heads = 2, .cross_width = 12};
  TransformerOptions convolution = linear;
  convolution.has_linear_projection = false;
  SpatialTransformer a(64, 1, linear), b(64, 1, convolution);
  NamedTensors weights = random_weights(shapes_of_module(*a));
  load_weights(*a, weights, {torch::kFloat32, torch::kCPU}, "test");
  for (const char* name : {"proj_in.weight", "proj_out.weight"}) {
    weights[name] = weights[name].reshape({64, 64, 1, 1});
  }
  load_weights(*b, weights, {torch::kFloat32, torch::kCPU}, "test");
  const Tensor x = seeded_randn({1, 64, 3, 4}, 1);
  const BlockCall call{.context = seeded_randn({1, 5, 12}, 2)};
  EXPECT_TRUE(torch::equal(a(x, call), b(x, call)));
}

TEST(SpatialTransformer, KeepsMapsChannelsLast) {
  SpatialTransformer transformer(64, 1, TransformerOptions{.heads = 1, .cross_width = 12});
  load_weights(*transformer, random_weights(shapes_of_module(*transformer)),
               {torch::kBFloat16, torch::kCPU}, "test");
  const Tensor x = seeded_randn({1, 64, 3, 4}, 1)
                       .to(torch::kBFloat16)
                       .contiguous(at::MemoryFormat::ChannelsLast);
  const BlockCall call{.context = seeded_randn({1, 5, 12}, 2).to(torch::kBFloat16)};
  const Tensor out = transformer(x, call);
  EXPECT_TRUE(out.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(transformer->norm(x).is_contiguous(at::MemoryFormat::ChannelsLast));
}

TEST(Geglu, TheSecondHalfGatesTheFirst) {
  Geglu geglu(3, 2);
  const Tensor weight = seeded_randn({4, 3}, 1), bias = seeded_randn({4}, 2),
               x = seeded_randn({3}, 3);
  load_weights(*geglu, {{"proj.weight", weight}, {"proj.bias", bias}},
               {torch::kFloat32, torch::kCPU}, "test");
  const std::vector<double> both = to_doubles(at::linear(x, weight, bias));
  const std::vector<double> got = to_doubles(geglu(x));
  for (int i = 0; i < 2; ++i) {
    const double gate = both[i + 2] * 0.5 * (1 + std::erf(both[i + 2] / std::sqrt(2.0)));
    EXPECT_NEAR(got[i], both[i] * gate, 1e-6);
  }
}

}  // namespace
}  // namespace fourstep
