#include "evaluate/diversity.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace fourstep {
namespace {

TEST(Diversity, IsTheMeanDistanceOfAllPairs) {
  const Tensor corners = at::tensor({0., 0., 3., 0., 0., 4.}).view({3, 2});
  EXPECT_DOUBLE_EQ(mean_pairwise_distance(corners), (3 + 4 + 5) / 3.0);
  EXPECT_DOUBLE_EQ(mean_pairwise_distance(at::ones({4, 2})), 0);
}

TEST(Diversity, ComparesOnlyPicturesOfOnePrompt) {
  // Two prompts far apart, 2 and 6 within.
  const Tensor rows = at::tensor({0., 2., 1000., 1006.}).view({4, 1});
  EXPECT_DOUBLE_EQ(diversity_of(rows, 2), 4);
}

TEST(Diversity, NeedsWholePromptsOfAtLeastTwo) {
  EXPECT_THROW(diversity_of(at::zeros({3, 1}), 2), Error);
  EXPECT_THROW(diversity_of(at::zeros({0, 1}), 2), Error);
  EXPECT_THROW(diversity_of(at::zeros({3, 1}), 1), Error);
}

}  // namespace
}  // namespace fourstep
