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
  EXPECT_EQ(lora_of("<lora:a>").unet_weight, 1);
  EXPECT_EQ(lora_of("<lora:a:0.5>").text_weight, 0.5);
  EXPECT_EQ(lora_of("<lora:a:0.5>").unet_weight, 0.5);
  const LoraTag both = lora_of("<lyco: a b :0.5:-0.7>");
  EXPECT_EQ(both.name, "a b");
  EXPECT_EQ(both.text_weight, 0.5);
  EXPECT_EQ(both.unet_weight, -0.7);
}

TEST(NetworkTags, NamedWeightsWinAndOtherSettingsAreReported) {
  const LoraTag lora = lora_of("<lora:a:1:te=0.3:unet=0.9:dyn=4>");
  EXPECT_EQ(lora.text_weight, 0.3);
  EXPECT_EQ(lora.unet_weight, 0.9);
  EXPECT_THAT(lora.ignored, ElementsAre("dyn"));
}

TEST(NetworkTags, BrokenTagsAreSaidInOneSentence) {
  EXPECT_THROW(lora_of("<lora: :1>"), InvalidRequest);
  EXPECT_THROW(lora_of("<lora:a:strong>"), InvalidRequest);
  EXPECT_THROW(lora_of("<lora:a:nan>"), InvalidRequest);
  EXPECT_FALSE(lora_tag(parse_network_tags("<hypernet:a>").tags.at(0)));
}

TEST(NetworkTags, WhatIsNoTagStays) {
  for (const char* text :
       {"a < b > c", "<>", "<lora>", "<lora:>", "<lora:a", "<:a>", "a > b < c:d"})
    EXPECT_EQ(parse_network_tags(text).text, text);
}

}  // namespace
}  // namespace fourstep
