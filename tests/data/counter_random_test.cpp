#include "data/counter_random.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "base/error.h"
#include "base/noise.h"

namespace fourstep {
namespace {

constexpr int64_t kAll =
    int64_t{1} << 32;  // below(kAll) is the word itself, with this one exception to its range

TEST(CounterRandom, ItsWordsArePhiloxAtTheIndexAndTheCounterOfThePurpose) {
  CounterRandom scene(5, 77, RandomPurpose::kScene), caption(5, 77, RandomPurpose::kCaption);
  for (uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(scene.below(kAll), philox_words(5, 77, i)[0]);
    EXPECT_EQ(caption.below(kAll), philox_words(5, 77, (1U << 24) + i)[0]);
  }
}

TEST(CounterRandom, IndicesBeyond32BitsHaveStreamsOfTheirOwn) {
  std::set<int64_t> first_words;
  for (const int64_t index : {int64_t{1}, 1 + kAll, 1 + 2 * kAll}) {
    first_words.insert(CounterRandom(5, index, RandomPurpose::kScene).below(kAll));
  }
  EXPECT_EQ(first_words.size(), 3U);
  EXPECT_THROW(CounterRandom(5, -1, RandomPurpose::kScene), Error);
}

TEST(CounterRandom, SmallNumbersAreEvenlySpread) {
  CounterRandom random(1, 0, RandomPurpose::kScene);
  std::array<int64_t, 5> counts = {};
  for (int i = 0; i < 10000; ++i) ++counts[random.between(3, 7) - 3];
  for (const int64_t count : counts) EXPECT_NEAR(count, 2000, 200);  // five standard deviations
}

TEST(CounterRandom, ChancesOfNoneAndAllAreCertain) {
  CounterRandom random(1, 0, RandomPurpose::kScene);
  int64_t quarter = 0;
  for (int i = 0; i < 10000; ++i) {
    EXPECT_FALSE(random.chance(0));
    EXPECT_TRUE(random.chance(1));
    quarter += random.chance(0.25) ? 1 : 0;
  }
  EXPECT_NEAR(quarter, 2500, 220);  // five standard deviations
}

}  // namespace
}  // namespace fourstep
