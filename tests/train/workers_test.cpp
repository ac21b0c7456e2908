#include "train/workers.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace fourstep {
namespace {

// Two processes are in tests/e2e/two_processes.

TEST(Workers, TheOnlyProcessTakesTheWholeBatch) {
  const Workers workers;
  EXPECT_TRUE(workers.is_first());
  EXPECT_EQ(workers.part_of(7), (std::pair<int64_t, int64_t>{0, 7}));
  EXPECT_EQ(workers.average({1.5, -2}), (std::vector<double>{1.5, -2}));
  EXPECT_TRUE(workers.average({}).empty());
}

TEST(Workers, TheOnlyProcessKeepsItsGradients) {
  const Tensor weight = torch::ones({2}).requires_grad_();
  (weight * torch::tensor({1.0, 3.0})).sum().backward();
  Workers().average_gradients({{"weight", weight}});
  EXPECT_TRUE(torch::equal(weight.grad(), torch::tensor({1.0, 3.0})));
}

TEST(Workers, ARankBeyondTheSizeIsRefused) {
  setenv("RANK", "2", 1);
  setenv("WORLD_SIZE", "2", 1);
  EXPECT_THROW(Workers::from_environment(), Error);
  setenv("RANK", "x", 1);
  EXPECT_THROW(Workers::from_environment(), InvalidRequest);
  setenv("WORLD_SIZE", "1", 1);
  EXPECT_EQ(Workers::from_environment().size(), 1);
  unsetenv("RANK");
  unsetenv("WORLD_SIZE");
  EXPECT_EQ(Workers::from_environment().size(), 1);
}

}  // namespace
}  // namespace fourstep
