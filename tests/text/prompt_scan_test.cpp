#include "text/prompt_scan.h"

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

TEST(Comments, A1111DropsFromTheSignToTheLineEnd) {
  const auto a1111 = [](std::string_view text) { return without_comments(text, Dialect::kA1111); };
  EXPECT_EQ(a1111("a cat # not a dog"), "a cat \n");
  EXPECT_EQ(a1111("a cat, # fur\nred"), "a cat, \nred");
  EXPECT_EQ(a1111("# title\na cat\n# note\nred"), "\na cat\nred");
  EXPECT_EQ(a1111("a\n#b\n#c\nd"), "a\n\nd");
  EXPECT_EQ(a1111("#"), "\n");
  EXPECT_EQ(a1111("a\n#"), "a\n");
  EXPECT_EQ(a1111("no sign\n"), "no sign\n");
  EXPECT_EQ(a1111(""), "");
}

TEST(Comments, ComfyDropsThoseOfC) {
  const auto comfy = [](std::string_view text) { return without_comments(text, Dialect::kComfy); };
  EXPECT_EQ(comfy("a cat // not a dog\nred"), "a cat \nred");
  EXPECT_EQ(comfy("a /* big\n */cat"), "a cat");
  EXPECT_EQ(comfy("see https://x.y/z, red"), "see https:");
  EXPECT_EQ(comfy("a /* open // b"), "a /* open ");
  EXPECT_EQ(comfy("/*/ a */b#c"), "b#c");
  EXPECT_EQ(comfy("a//b\u2028c"), "a\u2028c");
}

TEST(Comments, OtherDialectsKnowNone) {
  for (const Dialect dialect : {Dialect::kFourstep, Dialect::kDiffusers}) {
    EXPECT_EQ(without_comments("a # b // c /* d */", dialect), "a # b // c /* d */");
  }
}

TEST(WeightSlip, IsFoundInRoundBrackets) {
  EXPECT_EQ(find_weight_slip("a (cat:1,2) on a mat")->text, ":1,2)");
  EXPECT_EQ(find_weight_slip("a (cat:1,2)")->hint, " (write 1.2 with a point)");
  EXPECT_EQ(find_weight_slip("((cat: 120% ))")->hint, " (write 1.2 for 120%)");
  EXPECT_EQ(find_weight_slip("(a:1.2) (b:1,3)")->text, ":1,3)");
}

TEST(WeightSlip, IsNotEverythingBehindAColon) {
  for (const char* prompt : {"", "(cat:1.2)", "(cat, dog: two)", "[a:b:1,2]", "at 10:30, (evening)",
                             "(a:1,2", "1,2)", "(ratio 1:2)"}) {
    EXPECT_FALSE(find_weight_slip(prompt).has_value()) << prompt;
  }
}

}  // namespace

}  // namespace fourstep
