#include "evaluate/measure.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

constexpr int64_t kSide = 64;

/// Of one colour, numbers in [-1,1].
Tensor plain_picture(float red, float green, float blue) {
  return torch::tensor({red, green, blue}).view({1, 3, 1, 1}).expand({1, 3, kSide, kSide});
}

SetMeasures measures_of(const Tensor& images) {
  PromptSet set;
  set.scenes.resize(static_cast<size_t>(images.size(0)));
  const PictureSource source = [&](const PromptSet&, int64_t begin, int64_t count) {
    return Pictures{images.narrow(0, begin, count), {}, 0.5};
  };
  const Events events;
  Measuring measuring{make_classifier({.num_emoji = 3}, 0), 2, events};
  MeasureProgress progress{"plain", images.size(0)};
  return measure_set(source, set, measuring, progress);
}

TEST(MeasureSet, TellsBrightnessSaturationAndClipping) {
  const SetMeasures grey = measures_of(plain_picture(0, 0, 0));
  EXPECT_DOUBLE_EQ(*grey.brightness.mean(), 0.5);
  EXPECT_DOUBLE_EQ(*grey.saturation.mean(), 0);
  EXPECT_DOUBLE_EQ(*grey.clipped.mean(), 0);
  const SetMeasures red = measures_of(plain_picture(1, -1, -1));
  EXPECT_NEAR(*red.brightness.mean(), 1.0 / 3, 1e-7);
  EXPECT_DOUBLE_EQ(*red.saturation.mean(), 1);
  EXPECT_DOUBLE_EQ(*red.clipped.mean(), 1);
}

TEST(MeasureSet, AveragesOverPicturesAndBatches) {
  const SetMeasures three = measures_of(
      at::cat({plain_picture(0, 0, 0), plain_picture(1, 1, 1), plain_picture(0.5, -0.5, -0.5)}));
  EXPECT_NEAR(*three.saturation.mean(), 0.5 / 3, 1e-7);
  EXPECT_NEAR(*three.clipped.mean(), 1.0 / 3, 1e-7);
  EXPECT_EQ(three.judgements.size(), 3);
  EXPECT_EQ(three.seconds, 1) << "two batches";
}

}  // namespace
}  // namespace fourstep
