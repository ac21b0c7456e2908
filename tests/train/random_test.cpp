#include "train/random.h"

#include <gtest/gtest.h>

#include "support/golden.h"

namespace fourstep {
namespace {

using testing::to_doubles;

TEST(GoldenRandom, NumbersFollowFromTheKeyAsInPython) {
  const auto golden = testing::load_golden("training.json");
  if (!golden) GTEST_SKIP() << "no training.json";
  size_t checked = 0;
  for (const auto& item : golden->value("random", nlohmann::json::array())) {
    const std::string stream = item.at("stream");
    const RandomKey key{std::stoull(item.at("seed").get<std::string>()), stream,
                        item.at("iteration")};
    EXPECT_EQ(std::to_string(hash_of(key)), item.at("hash")) << stream;
    EXPECT_EQ(to_doubles(draw_normal(key, {4, 5})), testing::numbers(item.at("normal"))) << stream;
    EXPECT_EQ(to_doubles(draw_integers(key, -3, 1000, 20)), testing::numbers(item.at("integers")));
    EXPECT_EQ(to_doubles(draw_uniform(key, 20)), testing::numbers(item.at("uniform")));
    ++checked;
  }
  testing::report_golden("training.json", checked, 0);
}

TEST(Random, EveryPartOfTheKeyCounts) {
  const RandomKey key{1, "dm noise", 7};
  const Tensor numbers = draw_normal(key, {100});
  EXPECT_TRUE(torch::equal(draw_normal(key, {100}), numbers));
  for (const RandomKey& other : {RandomKey{2, "dm noise", 7}, RandomKey{1, "dm noises", 7},
                                 RandomKey{1, "dm noise", 8}, RandomKey{1, "dm nois", 7}}) {
    EXPECT_NE(hash_of(other), hash_of(key));
    EXPECT_FALSE(torch::equal(draw_normal(other, {100}), numbers));
  }
}

TEST(Random, NeighbouringKeysAreUncorrelated) {
  std::vector<Tensor> draws;
  for (int64_t i = 0; i < 20; ++i) draws.push_back(draw_normal({3, "noise", i}, {1000}));
  for (uint64_t seed = 4; seed < 20; ++seed)
    draws.push_back(draw_normal({seed, "noise", 0}, {1000}));
  const Tensor correlations =
      at::corrcoef(at::stack(draws)) - at::eye(static_cast<int64_t>(draws.size()));
  // The correlation of 1000 independent pairs has deviation 1/sqrt(1000); 630 pairs stay below 5 of them.
  EXPECT_LT(correlations.abs().max().item<double>(), 5 / std::sqrt(1000.));
}

TEST(Random, RangesAreHalfOpen) {
  const Tensor integers = draw_integers({1, "t", 0}, 20, 23, 1000);
  EXPECT_EQ(integers.min().item<int64_t>(), 20);
  EXPECT_EQ(integers.max().item<int64_t>(), 22);
  const Tensor uniform = draw_uniform({1, "u", 0}, 100000);
  EXPECT_GE(uniform.min().item<float>(), 0.f);
  EXPECT_LT(uniform.max().item<float>(), 1.f);
  EXPECT_NEAR(uniform.mean().item<double>(), 0.5, 5 / std::sqrt(12 * 100000.));  // five sigma
}

}  // namespace
}  // namespace fourstep
