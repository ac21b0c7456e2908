#include "layers/recompute.h"

#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include "support/memory_meter.h"

namespace fourstep {
namespace {

Tensor leaf(const Shape& shape) { return torch::randn(shape).set_requires_grad(true); }

/// A chain of `depth` products, each of which autograd keeps the input of.
Block chain(const Tensor& weight, int depth) {
  return [weight, depth](const std::vector<Tensor>& inputs) {
    Tensor x = inputs[0];
    for (int i = 0; i < depth; ++i) x = torch::tanh(torch::matmul(x, weight));
    return x + inputs[1];
  };
}

TEST(Recompute, GivesTheValuesAndGradientsOfTheBlockBitForBit) {
  const Tensor weight = leaf({8, 8}), x = leaf({4, 8}), shift = leaf({8});
  const Block block = chain(weight, 3);
  const Tensor plain = block({x, shift});
  plain.square().sum().backward();
  const Tensor expected[] = {weight.grad().clone(), x.grad().clone(), shift.grad().clone()};
  for (const Tensor& tensor : {weight, x, shift}) tensor.mutable_grad().reset();

  const Tensor out = recompute(block, {x, shift});
  EXPECT_TRUE(torch::equal(out, plain));
  out.square().sum().backward();
  EXPECT_TRUE(torch::equal(weight.grad(), expected[0]));
  EXPECT_TRUE(torch::equal(x.grad(), expected[1]));
  EXPECT_TRUE(torch::equal(shift.grad(), expected[2]));
}

TEST(Recompute, ReachesLeavesInsideABlockWhoseInputsNeedNoGradient) {
  const Tensor weight = leaf({8, 8}), x = torch::randn({4, 8}), shift = torch::randn({8});
  recompute(chain(weight, 2), {x, shift}).sum().backward();
  EXPECT_TRUE(weight.grad().defined());
  EXPECT_FALSE(x.grad().defined());
}

TEST(Recompute, ChainsOfBlocksAreExactToo) {
  const Tensor weight = leaf({8, 8}), x = leaf({4, 8}), shift = torch::zeros({8});
  const Block block = chain(weight, 2);
  block({block({x, shift}), shift}).sum().backward();
  const Tensor expected = x.grad().clone();
  x.mutable_grad().reset();
  recompute(block, {recompute(block, {x, shift}), shift}).sum().backward();
  EXPECT_TRUE(torch::equal(x.grad(), expected));
}

TEST(Recompute, DoesNothingSpecialWithoutGradients) {
  const torch::NoGradGuard no_grad;
  int runs = 0;
  const Block block = [&runs](const std::vector<Tensor>& inputs) {
    ++runs;
    return inputs[0] * 2;
  };
  const Tensor out = recompute(block, {torch::ones({2})});
  EXPECT_FALSE(out.requires_grad());
  EXPECT_EQ(runs, 1);
}

TEST(Recompute, RunsAgainUnderTheSameAutocast) {
  const Tensor weight = leaf({32, 32}), x = leaf({16, 32}), shift = leaf({32});
  const Block block = chain(weight, 2);
  const auto gradients = [&](const auto& run) {
    at::autocast::set_autocast_dtype(torch::kCPU, torch::kBFloat16);
    at::autocast::set_autocast_enabled(torch::kCPU, true);
    const Tensor out = run();
    at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(torch::kCPU, false);
    out.square().sum().backward();
    EXPECT_FALSE(at::autocast::is_autocast_enabled(torch::kCPU)) << "off again";
    std::vector<Tensor> taken;
    for (const Tensor& tensor : {weight, x, shift}) {
      taken.push_back(tensor.grad().clone());
      tensor.mutable_grad().reset();
    }
    return taken;
  };
  const auto plain = gradients([&] { return block({x, shift}); });
  const auto recomputed = gradients([&] { return recompute(block, {x, shift}); });
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_TRUE(torch::equal(recomputed[i], plain[i])) << i;
  const Tensor fp32 = block({x, shift});
  fp32.square().sum().backward();
  EXPECT_FALSE(torch::equal(x.grad(), plain[1])) << "bf16 did something";
}

TEST(Recompute, TakesBlocksThatEndInAViewChangedInPlace) {
  const Tensor x = leaf({2, 3});
  const Block block = [](const std::vector<Tensor>& inputs) {
    return (inputs[0] * 3).t().add_(inputs[0].t());
  };
  (recompute(block, {x}) * 2).sum().backward();
  EXPECT_TRUE(torch::equal(x.grad(), torch::full({2, 3}, 8.0f)));
}

TEST(Recompute, KeepsOnlyWhatGoesIn) {
  const Tensor weight = leaf({64, 64}), x = leaf({256, 64}), shift = torch::zeros({64});
  const Block block = chain(weight, 8);
  const auto kept_bytes = [&](const auto& run) {
    const testing::MemoryMeter meter;
    const Tensor out = run();
    return meter.current_bytes() - static_cast<int64_t>(out.nbytes());
  };
  const int64_t plain = kept_bytes([&] { return block({x, shift}); });
  const int64_t recomputed = kept_bytes([&] { return recompute(block, {x, shift}); });
  EXPECT_GE(plain, 7 * static_cast<int64_t>(x.nbytes())) << "what autograd keeps of eight layers";
  EXPECT_LT(recomputed, static_cast<int64_t>(x.nbytes()) / 10);
}

}  // namespace
}  // namespace fourstep
