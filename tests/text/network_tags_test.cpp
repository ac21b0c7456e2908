#include "text/network_tags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace fourstep {
namespace {

using ::testing::ElementsAre;

LoraTag lora_of(const char* prompt) {
  return lora_tag(parse_network_tags(prompt).tags.at(0)).value();
}

TEST(NetworkTags, OneNumberIsForAllNetworksAndASecondForTheUNet) {
  EXPECT_EQ(lora_of("<lora:a>").unet_weight, StepWeights(1));
  EXPECT_EQ(lora_of("<lora:a:0.5>").text_weight, 0.5);
  EXPECT_EQ(lora_of("<lora:a:0.5>").unet_weight, StepWeights(0.5));
  const LoraTag both = lora_of("<lyco: a b :0.5:-0.7>");
  EXPECT_EQ(both.name, "a b");
  EXPECT_EQ(both.text_weight, 0.5);
  EXPECT_EQ(both.unet_weight, StepWeights(-0.7));
}

TEST(NetworkTags, NamedWeightsWinAndOtherSettingsAreReported) {
  const LoraTag lora = lora_of("<lora:a:1:te=0.3:unet=0.9:dyn=4>");
  EXPECT_EQ(lora.text_weight, 0.3);
  EXPECT_EQ(lora.unet_weight, StepWeights(0.9));
  EXPECT_THAT(lora.ignored, ElementsAre("dyn"));
}

TEST(NetworkTags, WeightsMayChangeOverTheStepsAndTextEncodersTakeTheFirst) {
  const StepWeights rising = step_weights_from_text("", "0.25@0,1@0.5");
  const LoraTag both = lora_of("<lora:a:0.25@0,1@0.5>");
  EXPECT_EQ(both.unet_weight, rising);
  EXPECT_EQ(both.text_weight, 0.25);
  EXPECT_THAT(both.ignored, ElementsAre());
  const LoraTag unet = lora_of("<lora:a:1:0.25@0;1@0.5>");
  EXPECT_EQ(unet.unet_weight, rising);
  EXPECT_EQ(unet.text_weight, 1);
  const LoraTag text = lora_of("<lora:a:te=0.25@0,1@0.5:unet=0.8>");
  EXPECT_EQ(text.unet_weight, StepWeights(0.8));
  EXPECT_EQ(text.text_weight, 0.25);
  EXPECT_THAT(text.ignored, ElementsAre("te after its first step"));
}

TEST(NetworkTags, BrokenTagsAreSaidInOneSentence) {
  EXPECT_THROW(lora_of("<lora: :1>"), InvalidRequest);
  EXPECT_THROW(lora_of("<lora:a:strong>"), InvalidRequest);
  EXPECT_THROW(lora_of("<lora:a:nan>"), InvalidRequest);
  EXPECT_THROW(lora_of("<lora:a:0@0,1>"), InvalidRequest);
  EXPECT_FALSE(lora_tag(parse_network_tags("<hypernet:a>").tags.at(0)));
}

TEST(NetworkTags, WhatIsNoTagStays) {
  for (const char* text :
       {"a < b > c", "<>", "<lora>", "<lora:>", "<lora:a", "<:a>", "a > b < c:d"})
    EXPECT_EQ(parse_network_tags(text).text, text);
}

}  // namespace
}  // namespace fourstep
