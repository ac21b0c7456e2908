#include "data/bucket_order.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace fourstep {
namespace {

// Buckets 7 and 9; repeats 1, 2, 3, 1, 4.
const std::vector<OrderedImage> kImages{{7, 1}, {9, 2}, {7, 3}, {9, 1}, {7, 4}};

std::vector<std::vector<int64_t>> epoch_of(BucketOrder& order, int64_t epoch) {
  std::vector<std::vector<int64_t>> batches;
  for (int64_t i = 0; i < order.batches_per_epoch(); ++i) {
    batches.push_back(order.batch(epoch * order.batches_per_epoch() + i));
  }
  return batches;
}

TEST(BucketOrder, ShowsEveryImageAsOftenAsItIsAskedForInBatchesOfOneShape) {
  BucketOrder order(kImages, 3, 5);
  EXPECT_EQ(order.images_per_epoch(), 11);
  EXPECT_EQ(order.batches_per_epoch(), 4);  // 8 and 3 images in threes
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::map<int64_t, int64_t> seen;
    for (const auto& batch : epoch_of(order, epoch)) {
      std::set<int64_t> shapes;
      for (const int64_t image : batch) {
        ++seen[image];
        shapes.insert(kImages[static_cast<size_t>(image)].bucket);
      }
      EXPECT_EQ(shapes.size(), 1u);
      EXPECT_LE(batch.size(), 3u);
    }
    for (size_t i = 0; i < kImages.size(); ++i) {
      EXPECT_EQ(seen[static_cast<int64_t>(i)], kImages[i].repeats);
    }
  }
}

TEST(BucketOrder, DependsOnSeedAndIterationAlone) {
  BucketOrder forwards(kImages, 2, 5), backwards(kImages, 2, 5), other(kImages, 2, 6);
  std::vector<std::vector<int64_t>> there, back, elsewhere;
  for (int64_t i = 0; i < 30; ++i) there.push_back(forwards.batch(i));
  for (int64_t i = 30; i-- > 0;) back.insert(back.begin(), backwards.batch(i));
  for (int64_t i = 0; i < 30; ++i) elsewhere.push_back(other.batch(i));
  EXPECT_EQ(there, back);
  EXPECT_NE(there, elsewhere);
}

TEST(BucketOrder, ChangesWithTheEpoch) {
  BucketOrder order(std::vector<OrderedImage>(50, {0, 1}), 4, 1);
  EXPECT_NE(epoch_of(order, 0), epoch_of(order, 1));
}

}  // namespace
}  // namespace fourstep
