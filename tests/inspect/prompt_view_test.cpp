#include "inspect/prompt_view.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fourstep {
namespace {

/// Knows "cat" as one token and the words "a cat".
ModelFacts knowing_model() {
  ModelFacts model{{}, make_sdxl_noise_schedule(), {"a t</w>\nc at</w>\n", "toy"}};
  model.traits.known_words = "a cat";
  return model;
}

ResolvedRequest request_for(const std::string& prompt, double cfg_scale) {
  Request request;
  request.prompt.text = prompt;
  request.prompt.negative = "dog";
  request.sampling.sampler = "lcm";
  request.sampling.cfg_scale = cfg_scale;
  request.sampling.steps = 4;
  return resolve(request, {});
}

TEST(PromptView, ShowsTextUnknownWordsAndUse) {
  const auto views = view_prompts(request_for("a cat tac", 1), knowing_model());
  ASSERT_EQ(views.size(), 2u);
  ASSERT_EQ(views[0].chunks.size(), 1u);
  EXPECT_EQ(views[0].chunks[0].num_tokens, 5) << "a, cat, t, a, c";
  EXPECT_EQ(views[0].chunks[0].text, "a cat tac");
  EXPECT_EQ(views[0].unknown, std::vector<std::string>{"tac"});
  EXPECT_TRUE(views[0].use.is_used);
  EXPECT_FALSE(views[1].use.is_used) << "CFG scale 1";
  EXPECT_TRUE(view_prompts(request_for("a cat", 2), knowing_model())[1].use.is_used);
}

TEST(PromptView, ShowsPartsAndStagesOnce) {
  const auto views =
      view_prompts(request_for("a [cat:hat:1] AND (at:1.2) :0.5 <lora:x:1>", 2), knowing_model());
  ASSERT_EQ(views.size(), 4u);
  EXPECT_EQ(views[0].chunks[0].text, "a cat");
  EXPECT_EQ(views[0].use.calls, "0-1");
  EXPECT_EQ(views[1].use.weight, 0.5);
  EXPECT_EQ(views[1].chunks[0].text, "at");
  EXPECT_EQ(views[2].use.role, "negative prompt");
  EXPECT_EQ(views[3].chunks[0].text, "a hat");
  EXPECT_EQ(views[3].use.calls, "2-4");
  EXPECT_EQ(prompt_table(views).rows[1][4], "weight 0.5; never seen: at");
}

TEST(PromptView, HasOneRowPerChunk) {
  std::string prompt;
  for (int i = 0; i < 80; ++i) prompt += "cat ";
  const auto views = view_prompts(request_for(prompt, 1), knowing_model());
  const Table table = prompt_table(views);
  ASSERT_EQ(table.rows.size(), 3u);
  EXPECT_EQ(table.rows[1][2], "5/75");
  EXPECT_EQ(json_from(views[0])["chunks"][1]["tokens"], 5);
}

}  // namespace
}  // namespace fourstep
