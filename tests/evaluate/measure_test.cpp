#include "evaluate/measure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "io/safetensors.h"
#include "support/files.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSide = 64;

/// Of one colour, numbers in [-1,1].
Tensor plain_picture(float red, float green, float blue) {
  return torch::tensor({red, green, blue}).view({1, 3, 1, 1}).expand({1, 3, kSide, kSide});
}

SetMeasures measures_of(const Tensor& images) {
  PromptSet set;
  set.captions.resize(static_cast<size_t>(images.size(0)));
  const PictureSource source = [&](const PromptSet&, int64_t begin, int64_t count) {
    return Pictures{images.narrow(0, begin, count), {}, 0.5};
  };
  const Events events;
  PictureJudge judge{.questions = {"bright"}};
  judge.judge = [](const PromptSet&, int64_t, const Tensor& some) {
    Judged judged{some.mean({2, 3}), {}};
    for (int64_t i = 0; i < some.size(0); ++i) {
      judged.verdicts.push_back({some[i].mean().item<double>() > 0});
    }
    return judged;
  };
  Measuring measuring{judge, 2, events};
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
  EXPECT_EQ(three.verdicts, (std::vector<Verdict>{{false}, {true}, {false}}));
  EXPECT_EQ(three.features.count(), 3);
  EXPECT_EQ(three.seconds, 1) << "two batches";
}

TEST(SavedRow, ComesBackAsItWasSaved) {
  const testing::TemporaryFolder folder;
  MeasuredRow row;
  row.result.row = "student, 4 steps";
  row.result.steps = 4;
  row.result.shares = {{"seen", "emoji", 1.0 / 3}, {"held out", "all", std::nullopt}};
  row.sheet = at::arange(24, torch::kUInt8).view({2, 2, 2, 3});
  const std::filesystem::path file = folder.path() / "rows/a.safetensors";
  save_row(file, row, "these");
  EXPECT_FALSE(load_row(file, "others"));
  EXPECT_FALSE(load_row(folder.path() / "rows/b.safetensors", "these"));
  const auto loaded = load_row(file, "these");
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->result.row, row.result.row);
  EXPECT_EQ(loaded->result.steps, 4);
  ASSERT_EQ(loaded->result.shares.size(), 2u);
  EXPECT_EQ(loaded->result.shares[0].name(), "seen_emoji");
  EXPECT_EQ(loaded->result.shares[0].value, 1.0 / 3);
  EXPECT_EQ(loaded->result.shares[1].name(), "held_out_all");
  EXPECT_FALSE(loaded->result.shares[1].value);
  EXPECT_FALSE(loaded->result.diversity);
  EXPECT_TRUE(torch::equal(loaded->sheet, row.sheet));
  write_safetensors(file, {}, {{"settings", "these"}});
  EXPECT_THAT(testing::message_of<Error>([&] { load_row(file, "these"); }), HasSubstr("remove it"));
}

TEST(NumberStats, AreThoseOfAllNumbersTogether) {
  NumberStats stats;
  EXPECT_FALSE(stats.mean() || stats.std());
  stats.add(at::tensor({1., 2.}));
  stats.add(at::zeros({0}));
  stats.add(at::tensor({6., 7.}));
  EXPECT_DOUBLE_EQ(*stats.mean(), 4);
  EXPECT_DOUBLE_EQ(*stats.std(), std::sqrt((9 + 4 + 4 + 9) / 4.0));
}

}  // namespace
}  // namespace fourstep
