// Adapters and gradient checkpointing, both passed with a call of the UNet.

#include <gtest/gtest.h>

#include "nets/unet.h"
#include "support/memory_meter.h"
#include "support/random_weights.h"

namespace fourstep {
namespace {

UNetConfig adapters_config() {
  UNetConfig config;
  config.levels = {{.channels = 32, .heads = 1, .down_depth = {0}, .up_depth = {0, 0}},
                   {.channels = 64, .heads = 2, .down_depth = {2}, .up_depth = {2, 1}}};
  config.mid_depth = 1;
  config.cross_width = 24;
  config.time_width = 48;
  config.added_width = 16 + 6 * 8;
  return config;
}

template <typename Network>
Network with_random_weights(Network network) {
  NamedShapes shapes;
  for (const auto& item : network->named_parameters()) shapes[item.key()] = shape_of(item.value());
  load_weights(*network, testing::random_weights(shapes), {}, "test");
  return network;
}

/// Branches for all layers of a network, of rank 2.
struct Factors {
  std::shared_ptr<const Branches> branches;

  explicit Factors(nn::Module& network) {
    Branches all;
    for (const auto& layer : network.modules()) {
      const Tensor weight = weight_of_layer(*layer);
      if (!weight.defined()) continue;
      Shape down = shape_of(weight), up = down;
      down[0] = up[1] = 2;
      for (size_t i = 2; i < up.size(); ++i) up[i] = 1;
      all[layer.get()] = {(torch::randn(down) * 0.1).set_requires_grad(true),
                          (torch::randn(up) * 0.1).set_requires_grad(true), 1};
    }
    branches = std::make_shared<const Branches>(std::move(all));
  }
  /// Gradients of all factors in the order of the network's layers, which are cleared.
  std::vector<Tensor> take_gradients(nn::Module& network) {
    std::vector<Tensor> gradients;
    for (const auto& layer : network.modules()) {
      const LowRankBranch* branch = branch_of(branches.get(), *layer);
      if (!branch) continue;
      for (const Tensor* factor : {&branch->down, &branch->up}) {
        gradients.push_back(factor->grad());
        factor->mutable_grad().reset();
      }
    }
    return gradients;
  }
};

UNetInput small_input(int64_t side) {
  torch::manual_seed(3);
  return {torch::randn({2, 4, side, side}), torch::tensor({10, 700}), torch::randn({2, 5, 24}),
          torch::randn({2, 16}), torch::randn({2, 6})};
}

void expect_equal(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  size_t num_defined = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].defined(), b[i].defined()) << i;
    if (!a[i].defined()) continue;
    ++num_defined;
    EXPECT_TRUE(torch::equal(a[i], b[i])) << "factor " << i;
  }
  EXPECT_GT(num_defined, a.size() / 2);
}

class CheckpointedUNet : public ::testing::Test {
 protected:
  /// A loss of a call whose extras are gone when its backward pass runs.
  Tensor loss(const Factors& factors, bool checkpointing) {
    const UNetExtras extras{.adapters = factors.branches, .checkpointing = checkpointing};
    UNetInput input = small_input(8);
    input.extras = &extras;
    return unet_(input).square().mean();
  }
  /// What two forward passes with two adapters and then one backward pass leave in both.
  std::vector<Tensor> gradients(bool checkpointing) {
    (loss(student_, checkpointing) * 0.5 + loss(critic_, checkpointing)).backward();
    std::vector<Tensor> all = student_.take_gradients(*unet_);
    for (Tensor& gradient : critic_.take_gradients(*unet_)) all.push_back(gradient);
    return all;
  }

  UNet unet_ = with_random_weights(UNet(adapters_config()));
  Factors student_{*unet_}, critic_{*unet_};
};

TEST_F(CheckpointedUNet, HasTheSameValuesAndGradientsWithTwoAdapters) {
  const std::vector<Tensor> plain = gradients(false);
  expect_equal(gradients(true), plain);
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(torch::equal(loss(student_, true), loss(student_, false)));
}

TEST_F(CheckpointedUNet, AnAdapterIsTheNetworkWithItsFactorsFusedIn) {
  const torch::NoGradGuard no_grad;
  const Tensor plain = unet_(small_input(8)), adapted = loss(student_, false);
  for (const auto& layer : unet_->modules()) {
    const LowRankBranch* branch = branch_of(student_.branches.get(), *layer);
    if (!branch) continue;
    Tensor weight = weight_of_layer(*layer);
    weight.add_(branch->up.flatten(1).matmul(branch->down.flatten(1)).view_as(weight));
  }
  const Tensor fused = unet_(small_input(8));
  EXPECT_NEAR((fused.square().mean() / adapted).item<double>(), 1, 1e-4);
  EXPECT_GT((fused - plain).abs().max().item<double>(), 1e-2);
}

TEST_F(CheckpointedUNet, PassesGradientsOnToItsInput) {
  const auto run = [&](bool checkpointing) {
    const UNetExtras extras{.checkpointing = checkpointing};
    UNetInput input = small_input(8);
    input.extras = &extras;
    input.x.set_requires_grad(true);
    unet_(input).square().mean().backward();
    return std::vector<Tensor>{input.x.grad()};
  };
  expect_equal(run(true), run(false));
}

TEST_F(CheckpointedUNet, PassesGradientsOnToTheContextOfATerm) {
  const auto run = [&](bool checkpointing) {
    torch::manual_seed(5);
    const Tensor base = torch::randn({2, 3, 24}).set_requires_grad(true);
    UNetExtras extras{.checkpointing = checkpointing};
    extras.attention_terms = {{base * 2, AddedContext{0.5}}, {base * 3, NagGuidance{}}};
    UNetInput input = small_input(8);
    input.extras = &extras;
    unet_(input).square().mean().backward();
    return std::vector<Tensor>{base.grad()};
  };
  expect_equal(run(true), run(false));
}

TEST_F(CheckpointedUNet, PeaksLower) {
  const auto peak = [&](bool checkpointing) {
    const UNetExtras extras{.adapters = student_.branches, .checkpointing = checkpointing};
    UNetInput input = small_input(32);
    input.extras = &extras;
    const testing::MemoryMeter meter;
    unet_(input).square().mean().backward();
    return meter.peak_bytes();
  };
  const int64_t plain = peak(false), checkpointed = peak(true);
  EXPECT_LT(checkpointed, plain * 6 / 10) << "of " << plain;
  RecordProperty("plain_peak_bytes", std::to_string(plain));
  RecordProperty("checkpointed_peak_bytes", std::to_string(checkpointed));
}

TEST(WeightOfLayer, IsThereForLayersWithAWeightMatrixAlone) {
  Linear linear(3, 4);
  Conv2d conv(3, 4);
  TokenProjection projection(4, /*is_linear=*/false);
  GroupNorm norm(1, 4, 1e-5);
  EXPECT_TRUE(weight_of_layer(*linear).is_same(linear->weight));
  EXPECT_TRUE(weight_of_layer(*conv).is_same(conv->weight));
  EXPECT_EQ(weight_of_layer(*projection).sizes(), (Shape{4, 4, 1, 1}));
  EXPECT_FALSE(weight_of_layer(*norm).defined());
}

}  // namespace
}  // namespace fourstep
