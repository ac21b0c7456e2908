#include "pipeline/prompt_plan.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

Request request(const std::string& prompt, int64_t steps = 4) {
  Request r;
  r.prompt.text = prompt;
  r.sampling.steps = steps;
  r.sampling.sampler = "lcm";
  r.sampling.cfg_scale = 1;
  return r;
}

std::vector<std::string> texts_by_call(const Request& r, int64_t calls) {
  const TextPlan plan = plan_texts(resolve(r, {}));
  std::vector<std::string> texts;
  for (int64_t call = 0; call < calls; ++call) {
    texts.push_back(plan.stages.at(stage_at(plan.spans, call)).parts.at(0).text);
  }
  return texts;
}

using Texts = std::vector<std::string>;

TEST(TextPlan, APlainPromptHasOneStage) {
  const TextPlan plan = plan_texts(resolve(request("a cat <lora:x:1>, (red:1.2)"), {}));
  ASSERT_EQ(plan.stages.size(), 1u);
  EXPECT_EQ(plan.stages[0].parts, (std::vector<WeightedText>{{"a cat , (red:1.2)", 1}}));
  EXPECT_EQ(stage_at(plan.spans, 1000), 0u);
}

TEST(TextPlan, ATextHoldsOneCallLongerThanItsNumberSays) {
  EXPECT_EQ(texts_by_call(request("[cat:dog:2]"), 5), (Texts{"cat", "cat", "cat", "dog", "dog"}));
}

TEST(TextPlan, SecondOrderSamplersCountCallsOfTwiceTheSteps) {
  Request r = request("[cat:dog:0.5]");
  r.sampling.sampler = "heun";
  EXPECT_EQ(texts_by_call(r, 7), (Texts{"cat", "cat", "cat", "cat", "cat", "dog", "dog"}));
}

TEST(TextPlan, AlternativesChangeAtEveryCallAndAreEncodedOnce) {
  const TextPlan plan = plan_texts(resolve(request("a [cat|dog]", 20), {}));
  EXPECT_EQ(plan.stages.size(), 2u);
  EXPECT_EQ(plan.spans.size(), 20u);
}

TEST(TextPlan, ScheduledNegativePromptsAndPartsAreCombined) {
  Request r = request("[a:b:1] AND c :0.5", 4);
  r.prompt.negative = "x AND [y:z:3]";
  const TextPlan plan = plan_texts(resolve(r, {}));
  ASSERT_EQ(plan.stages.size(), 3u);
  EXPECT_EQ(plan.stages[0], (StageTexts{{{"a", 1}, {" c", 0.5}}, "x AND y"}));
  EXPECT_EQ(plan.stages[1], (StageTexts{{{"b", 1}, {" c", 0.5}}, "x AND y"}));
  EXPECT_EQ(plan.stages[2], (StageTexts{{{"b", 1}, {" c", 0.5}}, "x AND z"}));
}

TEST(TextPlan, TheOldRuleReadsSmallNumbersAsShares) {
  Request r = request("[cat:dog:1.0]", 4);
  EXPECT_EQ(texts_by_call(r, 4), (Texts{"cat", "cat", "cat", "cat"}));
  r.prompt.old_prompt_schedules = true;
  EXPECT_EQ(texts_by_call(r, 4), (Texts{"cat", "cat", "dog", "dog"}));
}

TEST(TextPlan, OtherDialectsKnowNeitherAndNorSchedules) {
  Request r = request("[a:b:1] AND c <lora:x:1> \\{d\\}");
  r.sampling.dialect = Dialect::kComfy;
  EXPECT_EQ(plan_texts(resolve(r, {})).stages.at(0).parts,
            (std::vector<WeightedText>{{"[a:b:1] AND c <lora:x:1> {d}", 1}}));
  r.sampling.dialect = Dialect::kDiffusers;
  EXPECT_EQ(plan_texts(resolve(r, {})).stages.at(0).parts,
            (std::vector<WeightedText>{{r.prompt.text, 1}}));
}

}  // namespace
}  // namespace fourstep
