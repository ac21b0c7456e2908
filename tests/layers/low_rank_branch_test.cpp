// A branch must equal the layer whose weight has the product of the factors added: W' = W + scale *
// up @ down.
#include <gtest/gtest.h>

#include "layers/layers.h"

namespace fourstep {
namespace {

Tensor numbers(const Shape& shape) { return torch::randn(shape); }

TEST(LowRankBranch, LinearEqualsTheMergedWeight) {
  torch::manual_seed(1);
  Linear layer(6, 5);
  const Tensor weight = numbers({5, 6}), bias = numbers({5}), x = numbers({2, 3, 6});
  load_weights(*layer, {{"weight", weight}, {"bias", bias}}, {}, "test");
  const LowRankBranch branch{numbers({2, 6}), numbers({5, 2}), 0.7};
  const Branches branches{{layer.get(), branch}};
  const Tensor merged = at::linear(x, weight + 0.7 * branch.up.matmul(branch.down), bias);
  EXPECT_TRUE(torch::allclose(layer->forward(x, &branches), merged, 1e-5, 1e-6));
  {
    const torch::NoGradGuard no_grad;  // 6 rows: the weight itself is changed
    EXPECT_TRUE(torch::allclose(layer->forward(x, &branches), merged, 1e-5, 1e-6));
    EXPECT_TRUE(torch::equal(layer->weight, weight)) << "for this call alone";
  }
  EXPECT_TRUE(torch::equal(layer->forward(x), at::linear(x, weight, bias)));
  const Linear other(6, 5);
  EXPECT_EQ(branch_of(&branches, *other), nullptr);
}

TEST(LowRankBranch, ConvolutionEqualsTheMergedKernelWithStrideAndPadding) {
  torch::manual_seed(2);
  Conv2d layer(4, 3, Conv2dOptions{.stride = 2});
  const Tensor weight = numbers({3, 4, 3, 3}), bias = numbers({3}), x = numbers({2, 4, 7, 6});
  load_weights(*layer, {{"weight", weight}, {"bias", bias}}, {}, "test");
  const LowRankBranch branch{numbers({2, 4, 3, 3}), numbers({3, 2, 1, 1}), -1.5};
  const Branches branches{{layer.get(), branch}};
  const Tensor change =
      branch.up.flatten(1).matmul(branch.down.flatten(1)).view({3, 4, 3, 3}) * -1.5;
  const Tensor merged = at::conv2d(x, weight + change, bias, 2, 1);
  EXPECT_TRUE(torch::allclose(layer->forward(x, &branches), merged, 1e-5, 1e-5));
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(torch::allclose(layer->forward(x, &branches), merged, 1e-5, 1e-5));
}

TEST(LowRankBranch, OneByOneFactorsServeALayerOnFeatures) {
  torch::manual_seed(3);
  const Tensor x = numbers({2, 6}), y = numbers({2, 5});
  const LowRankBranch flat{numbers({2, 6}), numbers({5, 2}), 1};
  const LowRankBranch square{flat.down.view({2, 6, 1, 1}), flat.up.view({5, 2, 1, 1}), 1};
  EXPECT_TRUE(torch::equal(add_branch(y, x, &flat), add_branch(y, x, &square)));
  EXPECT_TRUE(add_branch(y, x, nullptr).is_same(y));
}

TEST(LowRankBranch, GradientsReachTheFactorsAlone) {
  torch::manual_seed(4);
  Linear layer(6, 5, /*with_bias=*/false);
  load_weights(*layer, {{"weight", numbers({5, 6})}}, {}, "test");
  const LowRankBranch branch{numbers({2, 6}).requires_grad_(), numbers({5, 2}).requires_grad_(), 2};
  const Branches branches{{layer.get(), branch}};
  const Tensor x = numbers({3, 6});
  layer->forward(x, &branches).sum().backward();
  EXPECT_FALSE(layer->weight.grad().defined());
  // d sum(y) / d up = scale * 1^T (x down^T)
  const Tensor expected = 2 * torch::ones({5, 3}).matmul(x.matmul(branch.down.detach().t()));
  EXPECT_TRUE(torch::allclose(branch.up.grad(), expected, 1e-5, 1e-5));
}

}  // namespace
}  // namespace fourstep
