#include "base/seed_sequence.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace fourstep {
namespace {

// The numbers are numpy 1.24's.

TEST(SeedSequence, EqualsNumpyWithItsDefaultPool) {
  EXPECT_EQ(seed_words({42}, 4),
            (std::vector<uint32_t>{3444837047, 2669555309, 2046530742, 3581440988}));
}

TEST(SeedSequence, StartsAgainAtTheFirstWordOfThePool) {
  const auto words = seed_words({42}, 6);
  EXPECT_EQ(words.size(), 6u);
  EXPECT_NE(words[4], words[0]);
}

TEST(SeedSequence, KeepsKeyAndEntropyApart) {
  EXPECT_NE(seed_words({1, {2}}, 1), seed_words({1, {2, 0}}, 1));
  EXPECT_NE(seed_words({1 + (2ull << 32), {}}, 1), seed_words({1, {2}}, 1));
}

TEST(SeedSequence, RefusesASmallPool) { EXPECT_THROW(seed_words({1, {}, 3}, 1), Error); }

}  // namespace
}  // namespace fourstep
