#include "pipeline/trained_sizes.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

TEST(TrainedSizes, OfSdxlAreFortyMultiplesOf64AtAMegapixelOrLess) {
  EXPECT_EQ(sdxl_buckets().size(), 40u);
  double previous = 0;
  for (const ImageSize& size : sdxl_buckets()) {
    EXPECT_EQ(size.width % 64, 0);
    EXPECT_EQ(size.height % 64, 0);
    EXPECT_LE(size.width * size.height, 1024 * 1024 + 4 * 64 * 64);
    EXPECT_GE(size.width * size.height, 900'000);
    const double shape = static_cast<double>(size.width) / static_cast<double>(size.height);
    EXPECT_GT(shape, previous) << size.width << "x" << size.height;
    previous = shape;
  }
}

TEST(TrainedSizes, TheNearestHasTheNearestShape) {
  EXPECT_EQ(nearest_trained_size({1024, 1496}, 1024), (ImageSize{832, 1216}));
  EXPECT_EQ(nearest_trained_size({1920, 1080}, 1024), (ImageSize{1344, 768}));
  EXPECT_EQ(nearest_trained_size({2048, 2048}, 1024), (ImageSize{1024, 1024}));
  EXPECT_EQ(nearest_trained_size({64, 4096}, 1024), (ImageSize{512, 2048}));
}

TEST(TrainedSizes, OtherModelsHaveTheirOwnSquare) {
  EXPECT_EQ(nearest_trained_size({512, 768}, 512), (ImageSize{512, 512}));
  EXPECT_DOUBLE_EQ(largest_megapixels(1024), 1.05);
  EXPECT_DOUBLE_EQ(largest_megapixels(512), 0.393216) << "512x768";
}

}  // namespace
}  // namespace fourstep
