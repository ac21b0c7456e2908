#include "data/buckets.h"

#include <gtest/gtest.h>
#include <map>
#include <set>

#include "base/error.h"
#include "support/files.h"

namespace fourstep {
namespace {

bool has(const std::vector<Bucket>& buckets, int64_t width, int64_t height) {
  return std::find(buckets.begin(), buckets.end(), Bucket{width, height}) != buckets.end();
}

TEST(Buckets, OfSdxlAreMultiplesOf64WithinTheArea) {
  const std::vector<Bucket> buckets = make_buckets(1024);
  for (const Bucket& bucket : buckets) {
    EXPECT_EQ(bucket.width % 64, 0);
    EXPECT_EQ(bucket.height % 64, 0);
    EXPECT_LE(bucket.width * bucket.height, 1024 * 1024);
    EXPECT_TRUE(has(buckets, bucket.height, bucket.width)) << "each shape lies and stands";
  }
  // Sizes of Podell et al. 2023, appendix I, that have no more pixels than the square.
  EXPECT_TRUE(has(buckets, 1024, 1024));
  EXPECT_TRUE(has(buckets, 1152, 896));
  EXPECT_TRUE(has(buckets, 1216, 832));
  EXPECT_TRUE(has(buckets, 1344, 768));
  EXPECT_TRUE(has(buckets, 1536, 640));
  EXPECT_TRUE(has(buckets, 2048, 512));
}

TEST(Buckets, OfSmallResolutionsAreFiner) {
  const std::vector<Bucket> buckets = make_buckets(128);
  EXPECT_TRUE(has(buckets, 128, 128));
  EXPECT_TRUE(has(buckets, 144, 112));
  for (const Bucket& bucket : buckets) EXPECT_EQ(bucket.width % 16, 0);
  EXPECT_TRUE(has(make_buckets(64), 72, 56)) << "never finer than the autoencoder";
}

TEST(Buckets, AreTheSquareAloneWhenShapesAreOff) {
  EXPECT_EQ(make_buckets(512, false), (std::vector<Bucket>{{512, 512}}));
}

TEST(Buckets, RefuseOddResolutions) {
  EXPECT_THROW(make_buckets(100), InvalidRequest);
  EXPECT_THROW(make_buckets(32), InvalidRequest);
  EXPECT_THROW(make_buckets(1 << 20), InvalidRequest);
}

TEST(FitToBucket, TakesTheNearestAspectRatioAndCutsEvenly) {
  const std::vector<Bucket> buckets{{64, 128}, {96, 96}, {128, 64}};
  const Fit wide = fit_to_bucket(300, 100, buckets);
  EXPECT_EQ(wide.bucket, (Bucket{128, 64}));
  EXPECT_EQ(wide.resized_width, 192);
  EXPECT_EQ(wide.resized_height, 64);
  EXPECT_EQ(wide.crop_left, 32);
  EXPECT_EQ(wide.crop_top, 0);
  const Fit tall = fit_to_bucket(1000, 1100, buckets);
  EXPECT_EQ(tall.bucket, (Bucket{96, 96}));
  EXPECT_EQ(tall.resized_height, 106);  // 105.6 rounded
  EXPECT_EQ(tall.crop_top, 5);
}

TEST(FitToBucket, PrefersTheExactSizeToAnotherOfTheSameRatio) {
  const std::vector<Bucket> buckets{{64, 64}, {128, 128}};
  EXPECT_EQ(fit_to_bucket(128, 128, buckets).bucket, (Bucket{128, 128}));
  EXPECT_EQ(fit_to_bucket(200, 200, buckets).bucket, (Bucket{64, 64}));
}

TEST(FitToBucket, RefusesStripsThatWouldGrowEnormous) {
  const std::vector<Bucket> buckets = make_buckets(1024);
  EXPECT_NO_THROW(fit_to_bucket(4000, 200, buckets));
  const std::string message = testing::message_of<Error>([&] { fit_to_bucket(16384, 1, buckets); });
  EXPECT_NE(message.find("16384x1"), std::string::npos) << message;
}

TEST(ShrinkByArea, AveragesWhatEachPixelCovers) {
  // Three places into two: each takes one and a half of them.
  const Tensor row = torch::tensor({0.0, 3.0, 6.0}, torch::kFloat64).view({1, 1, 3});
  const Tensor two = shrink_by_area(row, 1, 2);
  EXPECT_NEAR(two[0][0][0].item<double>(), (0 + 3 * 0.5) / 1.5, 1e-12);
  EXPECT_NEAR(two[0][0][1].item<double>(), (3 * 0.5 + 6) / 1.5, 1e-12);
}

TEST(ShrinkByArea, KeepsTheMean) {
  const Tensor noise = torch::randn({3, 37, 53}, torch::kFloat64);
  const Tensor small = shrink_by_area(noise, 16, 24);
  EXPECT_EQ(small.sizes(), (Shape{3, 16, 24}));
  EXPECT_NEAR(small.mean().item<double>(), noise.mean().item<double>(), 1e-12);
  EXPECT_TRUE(torch::equal(shrink_by_area(noise, 37, 53), noise));
}

TEST(PictureInBucket, KeepsTheMiddle) {
  // Red at the left and right ends, green in the middle half.
  Tensor pixels = torch::zeros({50, 200, 3}, torch::kUInt8);
  pixels.select(2, 0).fill_(255);
  pixels.narrow(1, 50, 100).select(2, 0).zero_();
  pixels.narrow(1, 50, 100).select(2, 1).fill_(255);
  const std::vector<Bucket> buckets{{64, 64}};
  const Tensor picture = picture_in_bucket(pixels, fit_to_bucket(200, 50, buckets));
  EXPECT_EQ(picture.sizes(), (Shape{1, 3, 64, 64}));
  EXPECT_GT(picture[0][1].mean().item<double>(), 0.99);
  EXPECT_LT(picture[0][0].mean().item<double>(), -0.99);
  EXPECT_LE(picture.abs().max().item<double>(), 1.0) << "bicubic overshoot is cut off";
}

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
