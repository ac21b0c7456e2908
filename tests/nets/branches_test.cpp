#include "nets/branches.h"

#include <gtest/gtest.h>

#include <deque>

#include "nets/transformer.h"
#include "nets/unet.h"
#include "support/memory_meter.h"
#include "support/random_weights.h"

namespace fourstep {
namespace {

UNetConfig branches_config() {
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
struct Dress {
  std::deque<LowRankBranch> branches;

  explicit Dress(nn::Module& network) {
    for (const auto& layer : network.modules()) {
      const auto place = branch_place_of(*layer);
      if (!place) continue;
      Shape down = shape_of(place->weight), up = down;
      down[0] = up[1] = 2;
      for (size_t i = 2; i < up.size(); ++i) up[i] = 1;
      branches.push_back({(torch::randn(down) * 0.1).set_requires_grad(true),
                          (torch::randn(up) * 0.1).set_requires_grad(true), 1});
    }
  }
  void wear(nn::Module& network, bool is_on) {
    auto branch = branches.begin();
    for (const auto& layer : network.modules()) {
      if (const auto place = branch_place_of(*layer)) {
        *place->branch = is_on ? &*branch : nullptr;
        ++branch;
      }
    }
  }
  /// Gradients of all factors, which are cleared.
  std::vector<Tensor> take_gradients() {
    std::vector<Tensor> gradients;
    for (LowRankBranch& branch : branches) {
      for (Tensor* factor : {&branch.down, &branch.up}) {
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

class RecomputedUNet : public ::testing::Test {
 protected:
  /// What two forward passes under two dresses and then one backward pass leave in both.
  std::vector<Tensor> gradients(bool is_recomputed) {
    unet_->is_recomputed = is_recomputed;
    Tensor loss;
    for (Dress* dress : {&student_, &critic_}) {
      dress->wear(*unet_, true);
      const Tensor term = unet_(small_input(8)).square().mean();
      loss = loss.defined() ? loss + 0.5 * term : term;
      dress->wear(*unet_, false);
    }
    loss.backward();
    std::vector<Tensor> all = student_.take_gradients();
    for (Tensor& gradient : critic_.take_gradients()) all.push_back(gradient);
    return all;
  }

  UNet unet_ = with_random_weights(UNet(branches_config()));
  Dress student_{*unet_}, critic_{*unet_};
};

TEST_F(RecomputedUNet, HasTheSameValuesAndGradientsUnderTwoAdapters) {
  const std::vector<Tensor> plain = gradients(false);
  expect_equal(gradients(true), plain);
}

TEST_F(RecomputedUNet, RunsAgainUnderItsOwnAdapterWhateverIsWornByThen) {
  student_.wear(*unet_, true);
  const auto run = [&](bool is_recomputed) {
    unet_->is_recomputed = is_recomputed;
    student_.wear(*unet_, true);
    const Tensor loss = unet_(small_input(8)).square().mean();
    critic_.wear(*unet_, true);
    loss.backward();
    EXPECT_EQ(unet_->conv_in->branch, &critic_.branches.front()) << "put back after the second run";
    for (const Tensor& gradient : critic_.take_gradients()) EXPECT_FALSE(gradient.defined());
    return student_.take_gradients();
  };
  const std::vector<Tensor> plain = run(false);
  expect_equal(run(true), plain);
}

TEST_F(RecomputedUNet, PassesGradientsOnToItsInput) {
  const auto run = [&](bool is_recomputed) {
    unet_->is_recomputed = is_recomputed;
    UNetInput input = small_input(8);
    input.x.set_requires_grad(true);
    unet_(input).square().mean().backward();
    return std::vector<Tensor>{input.x.grad()};
  };
  expect_equal(run(true), run(false));
}

TEST_F(RecomputedUNet, PeaksLower) {
  student_.wear(*unet_, true);
  const auto peak = [&](bool is_recomputed) {
    unet_->is_recomputed = is_recomputed;
    const UNetInput input = small_input(32);
    const testing::MemoryMeter meter;
    unet_(input).square().mean().backward();
    return meter.peak_bytes();
  };
  const int64_t plain = peak(false), recomputed = peak(true);
  EXPECT_LT(recomputed, plain * 6 / 10) << "of " << plain;
  RecordProperty("plain_peak_bytes", std::to_string(plain));
  RecordProperty("recomputed_peak_bytes", std::to_string(recomputed));
}

TEST(BranchPlace, IsThereForLayersWithAWeightMatrixAlone) {
  Linear linear(3, 4);
  Conv2d conv(3, 4);
  TokenProjection projection(4, /*is_linear=*/false);
  GroupNorm norm(1, 4, 1e-5);
  EXPECT_EQ(branch_place_of(*linear)->branch, &linear->branch);
  EXPECT_EQ(branch_place_of(*conv)->branch, &conv->branch);
  EXPECT_EQ(branch_place_of(*projection)->weight.sizes(), (Shape{4, 4, 1, 1}));
  EXPECT_FALSE(branch_place_of(*norm));
}

}  // namespace
}  // namespace fourstep
