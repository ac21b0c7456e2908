#include "text/emphasis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "text/prompt_scan.h"
#include "text/prompt_schedule.h"

namespace fourstep {
namespace {

using ::testing::ElementsAre;

WeightedText part(const char* text, double weight) { return {text, weight}; }

TEST(Emphasis, NumbersThatAreNoneLeaveTheBracketItsOwnWeight) {
  EXPECT_THAT(parse_a1111_emphasis("(a:1.2.3)"), ElementsAre(part("a:1.2.3", 1.1)));
  EXPECT_THAT(parse_a1111_emphasis("(a:.)"), ElementsAre(part("a:.", 1.1)));
  EXPECT_THAT(parse_comfy_emphasis("(a:nan)"), ElementsAre(part("a:nan", 1.1)));
  EXPECT_THAT(parse_comfy_emphasis("(a:inf)"), ElementsAre(part("a:inf", 1.1)));
}

TEST(Emphasis, BreakIsAWordOfItsOwn) {
  EXPECT_THAT(parse_a1111_emphasis("aBREAK BREAK_ \xE6\x97\xA5"
                                   "BREAK"),
              ElementsAre(part("aBREAK BREAK_ \xE6\x97\xA5"
                               "BREAK",
                               1)));
  const auto parts = parse_a1111_emphasis("a,BREAK,b");
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_TRUE(is_break(parts[1]));
}

TEST(Emphasis, ComfyUiTakesAnUnclosedGroupThatEndsInABracketForAGroup) {
  // By the rule of its parser: the first character opens and the last one closes.
  EXPECT_THAT(parse_comfy_emphasis("((a)"), ElementsAre(part("(a", 1.1)));
  EXPECT_THAT(parse_comfy_emphasis("a) (b)"), ElementsAre(part("a) (b)", 1)));
}

TEST(Emphasis, NoTextCrashesOrTakesLong) {
  const auto start = std::chrono::steady_clock::now();
  for (const std::string piece :
       {"(", "[", "(a", "[a:", "((a:1.1", "<a:", "[a|", ")", "]", "\\", "AND ", "BREAK ",
        "(a)[b:3]", "[[a:1]:1", "<lora:x:1>", "\xFF", ":1.1)", "[x:y:0.5]"}) {
    std::string text;
    while (text.size() < 65536) text += piece;
    for (const std::string& prompt : {text, text + std::string(text.size() / 2, ')')}) {
      parse_a1111_emphasis(prompt);
      parse_comfy_emphasis(prompt);
      parse_composition(prompt);
      parse_network_tags(prompt);
      parse_prompt_schedule(prompt, {4});
    }
  }
  // Two million characters in all; a quadratic parser would need minutes.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(Composition, WordsThatOnlyContainAndAreNotCut) {
  EXPECT_THAT(parse_composition("SAND ANDROID _AND AND1"),
              ElementsAre(part("SAND ANDROID _AND AND1", 1)));
  EXPECT_THAT(parse_composition("a:2 AND:3"), ElementsAre(part("a", 2), part("", 3)));
}

TEST(PromptSchedule, AlternativesMayBeEmpty) {
  const auto texts = parse_prompt_schedule("[fe|]male", {3});
  ASSERT_EQ(texts.size(), 3u);
  EXPECT_EQ(texts[0].text, "female");
  EXPECT_EQ(texts[1].text, "male");
  EXPECT_EQ(texts[2].text, "female");
}

TEST(PromptSchedule, BracketsThatFitNothingAreTextAndThoseBesideThemStillWork) {
  const auto texts = parse_prompt_schedule("((a][:b:c [d:3]", {10});
  ASSERT_EQ(texts.size(), 2u);
  EXPECT_EQ(texts[0].text, "((a][:b:c ");
  EXPECT_EQ(texts[0].last_call, 3);
  EXPECT_EQ(texts[1].text, "((a][:b:c d");
}

TEST(PromptSchedule, HugeAndNegativeNumbersAreBounded) {
  EXPECT_EQ(parse_prompt_schedule("[a:b:1e999]", {10}).front().text, "[a:b:1e999]");
  EXPECT_EQ(parse_prompt_schedule("[a:b:1e99]", {10}).front().text, "a");
  EXPECT_EQ(parse_prompt_schedule("[a:b:-3]", {10}).front().text, "b");
}

}  // namespace
}  // namespace fourstep
