#include "pipeline/trained_sizes.h"

#include <gtest/gtest.h>

#include <vector>

namespace fourstep {
namespace {

/// As the table of Podell et al. 2023 (2307.01952), appendix I, has it.
struct PaperRow {
  int64_t height, width;
  double aspect_ratio;
};

constexpr PaperRow kPaper[] = {
    {512, 2048, 0.25}, {512, 1984, 0.26}, {512, 1920, 0.27}, {512, 1856, 0.28}, {576, 1792, 0.32},
    {576, 1728, 0.33}, {576, 1664, 0.35}, {640, 1600, 0.4},  {640, 1536, 0.42}, {704, 1472, 0.48},
    {704, 1408, 0.5},  {704, 1344, 0.52}, {768, 1344, 0.57}, {768, 1280, 0.6},  {832, 1216, 0.68},
    {832, 1152, 0.72}, {896, 1152, 0.78}, {896, 1088, 0.82}, {960, 1088, 0.88}, {960, 1024, 0.94},
    {1024, 1024, 1.0}, {1024, 960, 1.07}, {1088, 960, 1.13}, {1088, 896, 1.21}, {1152, 896, 1.29},
    {1152, 832, 1.38}, {1216, 832, 1.46}, {1280, 768, 1.67}, {1344, 768, 1.75}, {1408, 704, 2.0},
    {1472, 704, 2.09}, {1536, 640, 2.4},  {1600, 640, 2.5},  {1664, 576, 2.89}, {1728, 576, 3.0},
    {1792, 576, 3.11}, {1856, 512, 3.62}, {1920, 512, 3.75}, {1984, 512, 3.88}, {2048, 512, 4.0}};

TEST(TrainedSizes, OfSdxlAreThoseOfThePaper) {
  std::vector<ImageSize> paper;
  for (const PaperRow& row : kPaper) {
    const double shape = static_cast<double>(row.height) / static_cast<double>(row.width);
    EXPECT_NEAR(shape, row.aspect_ratio, 0.0051) << row.height << " high, " << row.width << " wide";
    paper.insert(paper.begin(), {row.width, row.height});
  }
  EXPECT_EQ(std::vector<ImageSize>(sdxl_buckets().begin(), sdxl_buckets().end()), paper);
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
