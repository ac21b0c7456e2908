#include "train/captions.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "emoji/small_model.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

SmallModel tiny_text_model() {
  TrainConfig config;
  config.unet_channels = {32};
  config.unet_depths = {1};
  config.text_layers = 2;
  return make_small_model(config, {"red", "fox", "snow"});
}

bool is_equal(const Conditioning& a, const Conditioning& b) {
  return torch::equal(a.context, b.context) && torch::equal(a.pooled, b.pooled) &&
         torch::equal(a.time_ids, b.time_ids);
}

TEST(EncodeCaptions, ARowEqualsThePromptOfTheEngine) {
  SmallModel model = tiny_text_model();
  const TextEncoders encoders = model.text_encoders();
  const torch::NoGradGuard no_grad;
  const std::vector<std::string> captions = {"a red fox", "", "snow"};
  const Conditioning batch = encode_captions(encoders, captions, 128);
  EXPECT_EQ(shape_of(batch.context), (Shape{3, 77, 64 + 128}));
  for (int64_t i = 0; i < 3; ++i) {
    const Conditioning one = encode_prompt(encoders, captions[static_cast<size_t>(i)]);
    EXPECT_TRUE(at::allclose(batch.context.narrow(0, i, 1), one.context, 1e-5, 1e-5)) << i;
    EXPECT_TRUE(at::allclose(batch.pooled.narrow(0, i, 1), one.pooled, 1e-5, 1e-5)) << i;
  }
  EXPECT_TRUE(
      torch::equal(batch.time_ids[1], torch::tensor({128.f, 128.f, 0.f, 0.f, 128.f, 128.f})));
}

TEST(EncodeCaptions, WhatIsTooLongIsCutOff) {
  SmallModel model = tiny_text_model();
  const torch::NoGradGuard no_grad;
  std::string full;
  for (int i = 0; i < 75; ++i) full += "fox ";
  const std::vector<std::string> captions = {full, full + "snow red snow"};
  const Conditioning batch = encode_captions(model.text_encoders(), captions, 64);
  EXPECT_EQ(batch.context.size(1), 77);
  EXPECT_TRUE(at::allclose(batch.context[0], batch.context[1], 1e-5, 1e-5));
}

TEST(EncodeCaptions, GradientsReachTheEncoders) {
  SmallModel model = tiny_text_model();
  const Tensor& weight = model.text->token_embedding->weight;
  weight.set_requires_grad(true);
  const std::vector<std::string> captions = {"a red fox"};
  encode_captions(model.text_encoders(), captions, 64).context.sum().backward();
  EXPECT_TRUE(weight.grad().defined());
}

TEST(NullCondition, IsZerosButForTheSizes) {
  const Conditioning cond{torch::ones({2, 3, 4}), torch::ones({2, 5}), torch::full({2, 6}, 64.f)};
  const Conditioning null = null_condition(cond);
  EXPECT_TRUE(is_equal(null, {torch::zeros({2, 3, 4}), torch::zeros({2, 5}), cond.time_ids}));
}

TEST(StackRows, AndRowsOfAreInverse) {
  const auto filled = [](float value, int64_t count) {
    return Conditioning{torch::full({count, 3, 4}, value), torch::full({count, 5}, value),
                        torch::full({count, 6}, value)};
  };
  const Conditioning stacked = stack_rows(filled(1, 2), filled(2, 3));
  EXPECT_TRUE(is_equal(rows_of(stacked, 0, 2), filled(1, 2)));
  EXPECT_TRUE(is_equal(rows_of(stacked, 2, 3), filled(2, 3)));
}

TEST(EncodeCaptions, TellEachPictureItsOwnSizeAndCrop) {
  SmallModel model = tiny_text_model();
  const std::vector<std::string> captions{"snow", "fox"};
  const std::vector<SizeConditioning> sizes{{90, 60, 3, 0, 80, 64}, {50, 70, 0, 4, 64, 80}};
  const Conditioning cond = encode_captions(model.text_encoders(), captions, sizes);
  EXPECT_TRUE(torch::equal(cond.time_ids[0], torch::tensor({90.f, 60.f, 3.f, 0.f, 80.f, 64.f})));
  EXPECT_TRUE(torch::equal(cond.time_ids[1], torch::tensor({50.f, 70.f, 0.f, 4.f, 64.f, 80.f})));
}

TEST(DropCaptions, ZeroesTheRowsThatAreNotKept) {
  const Conditioning cond{torch::ones({2, 3, 4}), torch::ones({2, 5}), torch::full({2, 6}, 64.f)};
  const Conditioning dropped = drop_captions(cond, torch::tensor({true, false}));
  EXPECT_TRUE(is_equal(rows_of(dropped, 0, 1), rows_of(cond, 0, 1)));
  EXPECT_TRUE(is_equal(rows_of(dropped, 1, 1), null_condition(rows_of(cond, 1, 1))));
}

TEST(Conditioning, WithoutPooledTextPassesThrough) {
  const Conditioning cond{torch::ones({2, 3, 4}), {}, torch::ones({2, 6})};
  EXPECT_FALSE(null_condition(cond).pooled.defined());
  EXPECT_FALSE(drop_captions(cond, torch::tensor({true, false})).pooled.defined());
  const Conditioning stacked = stack_rows(cond, rows_of(cond, 0, 1));
  EXPECT_FALSE(stacked.pooled.defined());
  EXPECT_EQ(stacked.context.size(0), 3);
}

TEST(ReadPrompts, LeavesOutBlankLinesAndRefusesFilesWithoutAny) {
  const testing::TemporaryFolder folder;
  const auto path = testing::write_file(folder.path() / "prompts.txt", "\n a fox \r\n\n\tsnow");
  EXPECT_EQ(read_prompts(path), (std::vector<std::string>{"a fox", "snow"}));
  testing::write_file(path, " \n\n");
  EXPECT_THROW(read_prompts(path), Error);
  EXPECT_THROW(read_prompts(folder.path() / "nowhere"), Error);
}

}  // namespace
}  // namespace fourstep
