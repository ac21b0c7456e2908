#include "cli/image_series.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "support/files.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

TEST(ImageSeries, SizesAreOutermost) {
  const auto series = image_series({}, "1,2", "64x64, 72X64");
  ASSERT_EQ(series.size(), 4u);
  EXPECT_EQ(series[1].seed, 2u);
  EXPECT_EQ(series[2].seed, 1u);
  EXPECT_EQ(series[2].width, 72);
}

TEST(ImageSeries, AllSizesHaveOneRandomSeed) {
  const auto series = image_series({}, "", "64x64,72x64");
  ASSERT_EQ(series.size(), 2u);
  EXPECT_TRUE(series[0].seed.has_value());
  EXPECT_EQ(series[0].seed, series[1].seed);
}

TEST(ImageSeries, MinusOneIsARandomSeed) {
  const auto series = image_series({}, "-1,5", "64x64,72x64");
  ASSERT_EQ(series.size(), 4u);
  EXPECT_EQ(series[0].seed, series[2].seed);
  EXPECT_EQ(series[1].seed, 5u);
}

TEST(ImageSeries, EmptyPlacesAreRefused) {
  for (const char* seeds : {"1,,2", ",1", "1,", ","}) {
    EXPECT_THAT(message_of<InvalidRequest>([&] { image_series({}, seeds, ""); }),
                HasSubstr("between the commas is empty"))
        << seeds;
  }
  EXPECT_THROW(image_series({}, "", "64x64,,72x64"), InvalidRequest);
  EXPECT_THROW(image_series({}, "", "64"), InvalidRequest);
  EXPECT_THROW(image_series({}, "1,5%", ""), InvalidRequest);
}

TEST(ImageSeries, OneSeedAndAListOfSeedsContradict) {
  Request request;
  request.seed = 1;
  EXPECT_THROW(image_series(request, "1,2", ""), InvalidRequest);
}

}  // namespace
}  // namespace fourstep
