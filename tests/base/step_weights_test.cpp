#include "base/step_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/files.h"

namespace fourstep {
namespace {

StepWeights parse(const char* text) { return step_weights_from_text("--lora", text); }

std::vector<double> weights_over(const char* text, std::vector<int64_t> steps, int64_t num_steps) {
  std::vector<double> weights;
  for (const int64_t step : steps) weights.push_back(weight_at(parse(text), step, num_steps));
  return weights;
}

// The numbers of loractl's own tests (github.com/cheald/sd-webui-loractl, test/tests.py, commit
// 4ba2146).
TEST(StepWeights, CountStepsAndRunStraightBetweenPoints) {
  EXPECT_EQ(weights_over("1.0", {0, 15, 30}, 30), (std::vector<double>{1, 1, 1}));
  EXPECT_EQ(weights_over("0.75@0;0.5@3;1@6", {0, 3, 6, 9}, 30),
            (std::vector<double>{0.75, 0.5, 1, 1}));
  EXPECT_EQ(weights_over("0.5@5,1.0@10", {0, 5, 8, 15}, 30),
            (std::vector<double>{0.5, 0.5, 0.8, 1}));
  EXPECT_EQ(parse("0.5@3,1@6,1@0"), parse("1@0,0.5@3,1@6"));
}

TEST(StepWeights, PositionsUpToOneAreSharesOfTheRun) {
  EXPECT_EQ(weights_over("0@0,1@0.5,0@1", {0, 1, 2, 3, 4}, 5),
            (std::vector<double>{0, 0.5, 1, 0.5, 0}));
  EXPECT_EQ(weights_over("0@0,1@0.5,0@1", {0}, 1), (std::vector<double>{0})) << "a single step";
  EXPECT_EQ(weights_over("1@1,0@1.5", {0, 1, 2}, 5), (std::vector<double>{1, 1, 0}))
      << "one position above 1: all are steps";
}

TEST(StepWeights, PointsOfOneWeightAreANumber) {
  EXPECT_EQ(parse("0.7@0,0.7@3"), StepWeights(0.7));
  EXPECT_EQ(parse("0.7@2"), StepWeights(0.7));
  EXPECT_TRUE(parse(" +0.7 ").is_constant());
  EXPECT_FALSE(parse("0.7@0,0.8@3").is_constant());
}

TEST(StepWeights, TextReadsBackAsWritten) {
  for (const char* text : {"0.1", "0@0,1@0.5", "-0.85@0,1.3@2,0.30000000000000004@7.5"}) {
    EXPECT_EQ(text_from_step_weights(parse(text)), text);
  }
}

TEST(StepWeights, TheLargestIsFarthestFromZero) {
  EXPECT_EQ(largest_weight(parse("0.5@0,-0.85@1,0@2")), -0.85);
  EXPECT_EQ(largest_weight(0.3), 0.3);
}

TEST(StepWeights, NumbersThatNobodyCanMeanAreWeightsAllTheSame) {
  for (const char* text : {"1", "1@0.5", "1e999", "inf", "nan"}) {
    EXPECT_TRUE(looks_like_weights(text)) << text;
  }
  for (const char* text : {"", "x", "1x", "a.safetensors", "\\models\\a"}) {
    EXPECT_FALSE(looks_like_weights(text)) << text;
  }
}

TEST(StepWeights, BrokenTextsAreSaidInOneSentence) {
  for (const char* text : {"", "x", "1@", "@1", "1@x", "1@0,,1@2", "1@0@2", "1e300", "1e999", "nan",
                           "-1001", "1@0,1e4@1", "1@-1", "nan@0", "1@inf", "1,2", "1@0 1@2"}) {
    EXPECT_THROW(parse(text), InvalidRequest) << text;
  }
  EXPECT_EQ(testing::message_of<InvalidRequest>([] { parse("0@0,1@x"); }),
            "--lora: \"1@x\" is no weight; write a number such as 0.8, or WEIGHT@STEP for each "
            "change, such as 0@0,1@2");
  EXPECT_EQ(testing::message_of<InvalidRequest>([] { parse("0@2,1@0,1@2"); }),
            "--lora: two weights at 2; give each step one weight");
}

}  // namespace
}  // namespace fourstep
