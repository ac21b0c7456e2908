#include "text/wildcards.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/error.h"

namespace fourstep {
namespace {

std::vector<std::string> animals(const std::string& name) {
  if (name == "animal") return {"cat", "__colour__ fox", "{2::dog|owl}"};
  if (name == "colour") return {"red", "blue"};
  if (name == "loop") return {"x __loop__"};
  if (name == "flood") return {"__flood____flood__"};
  throw InvalidRequest("no wildcard \"{}\"", name);
}

std::string expand(const std::string& prompt, uint64_t seed = 1, uint32_t stream = 0) {
  return expand_wildcards(prompt, {seed, stream}, animals);
}

TEST(Wildcards, TheSeedDecidesAlone) {
  const std::string prompt = "a __animal__ in {a wood|the sea|town}";
  std::map<std::string, int> seen;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    EXPECT_EQ(expand(prompt, seed), expand(prompt, seed));
    ++seen[expand(prompt, seed)];
  }
  EXPECT_EQ(seen.size(), 15u) << "five animals in three places";
  EXPECT_NE(expand("{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}", 1, 0),
            expand("{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}{a|b}", 1, 1));
}

TEST(Wildcards, OptionsComeAsOftenAsTheirWeightsSay) {
  int heavy = 0;
  for (uint64_t seed = 0; seed < 4000; ++seed) heavy += expand("{3::a|b}", seed) == "a";
  EXPECT_NEAR(heavy, 3000, 5 * 27.4);  // five standard deviations of a binomial
  for (uint64_t seed = 0; seed < 50; ++seed) EXPECT_EQ(expand("{0::a|b}", seed), "b");
  EXPECT_NO_THROW(expand("{0::a|-1::b}"));
}

TEST(Wildcards, BracesWithoutBarsAndEscapedOnesAreText) {
  EXPECT_EQ(expand("a {b} \\{c|d\\} }{"), "a {b} \\{c|d\\} }{");
  EXPECT_EQ(expand("{{a}}"), "{{a}}");
  EXPECT_EQ(expand_wildcards("__animal__", {1}, {}), "__animal__");
  EXPECT_FALSE(has_wildcards("a {b} __animal__", false));
  EXPECT_TRUE(has_wildcards("a {b} __animal__", true));
  EXPECT_TRUE(has_wildcards("{x{a|b}}", false));
}

TEST(Wildcards, UnderscoresThatNameNothingAreText) {
  EXPECT_EQ(expand("____ __ __a,b__ snake_case"), "____ __ __a,b__ snake_case");
  EXPECT_THROW(expand("__bird__"), InvalidRequest);
}

/// All that a prompt can become.
std::set<std::string> outcomes(const std::string& prompt) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 600; ++seed) seen.insert(expand(prompt, seed));
  return seen;
}

using Outcomes = std::set<std::string>;

// The sets that dynamicprompts 0.31.0 gives for these prompts.
TEST(Wildcards, SeveralOptionsAreDifferentOnesInAnyOrder) {
  EXPECT_EQ(outcomes("{2$$a|b|c}"), (Outcomes{"a,b", "a,c", "b,a", "b,c", "c,a", "c,b"}));
  EXPECT_EQ(outcomes("{2$$ and $$a|b}"), (Outcomes{"a and b", "b and a"}));
  EXPECT_EQ(outcomes("{1$$ | $$a|b}"), (Outcomes{"a", "b"}));
  EXPECT_EQ(outcomes("{5$$a|b}"), (Outcomes{"a,b", "b,a"})) << "no more than there are";
  EXPECT_EQ(outcomes("{0$$a|b}"), Outcomes{""});
  EXPECT_EQ(outcomes("{0$$a}"), Outcomes{"a"}) << "a single one is always taken";
}

TEST(Wildcards, ANumberOfOptionsMayBeARange) {
  const Outcomes one_or_two = {"a", "b", "a,b", "b,a"};
  EXPECT_EQ(outcomes("{1-2$$a|b}"), one_or_two);
  EXPECT_EQ(outcomes("{2-1$$a|b}"), one_or_two);
  EXPECT_EQ(outcomes("{-2$$a|b}"), one_or_two);
  EXPECT_EQ(outcomes("{1-$$a|b}"), one_or_two);
  EXPECT_EQ(outcomes("{0-1$$a|b}"), (Outcomes{"", "a", "b"}));
}

TEST(Wildcards, SeveralLinesOfOneListAreDifferentOnes) {
  EXPECT_EQ(outcomes("{2$$__colour__}"), (Outcomes{"red,blue", "blue,red"}));
  EXPECT_EQ(outcomes("{2$$ and $$__colour__|x}"),
            (Outcomes{"red and x", "blue and x", "x and red", "x and blue"}));
}

TEST(Wildcards, VariablesAreChosenAtEachUseOrOnce) {
  EXPECT_EQ(outcomes("${x={a|b}}${x}${x}"), (Outcomes{"aa", "ab", "ba", "bb"}));
  EXPECT_EQ(outcomes("${x=!{a|b}}${x}${x}"), (Outcomes{"aa", "bb"}));
  EXPECT_EQ(outcomes("${x}${x=a}"), Outcomes{"a"}) << "set before anything else";
  EXPECT_EQ(outcomes("${x:{a|b}}"), (Outcomes{"a", "b"}));
  EXPECT_EQ(outcomes("__${k}__${k=colour}"), (Outcomes{"red", "blue"}));
  EXPECT_EQ(expand("$5 and ${} and $x"), "$5 and ${} and $x");
}

TEST(Wildcards, NamesMayBeChosenToo) {
  EXPECT_EQ(outcomes("__{colour|colour}__ __~colour__"),
            (Outcomes{"red red", "red blue", "blue red", "blue blue"}));
}

TEST(Wildcards, WhatIsNotSupportedIsNamed) {
  for (const char* prompt :
       {"{@a|b}", "{!a|b}", "__@colour__", "__!colour__", "__colour(x=1)__", "%{big $$ cat}",
        "${y}", "{${x=b}|${x=c}}", "${x=a|b}", "{a$$b|c}", "{3::x|2$$y|z}", "{2.5$$a|b}"}) {
    EXPECT_THROW(expand(prompt), InvalidRequest) << prompt;
    EXPECT_THROW(expand("${x=!1}" + std::string(prompt) + "${z=2}"), InvalidRequest) << prompt;
  }
  EXPECT_EQ(expand("{ !a| !a}"), " !a");
  EXPECT_EQ(expand("100%{a}$$"), "100%{a}$$");
}

TEST(Wildcards, EndlessOnesAreRefused) {
  EXPECT_THROW(expand("__loop__"), InvalidRequest);
  EXPECT_THROW(expand("__flood__"), InvalidRequest);
  EXPECT_THROW(expand("${x=${x}}${x}"), InvalidRequest);
  std::string doubling = "${v0=}";
  for (int i = 1; i < 30; ++i) {
    const std::string earlier = "${v" + std::to_string(i - 1) + "}";
    doubling += "${v" + std::to_string(i) + "=" + earlier + earlier + "}";
  }
  EXPECT_THROW(expand(doubling + "${v29}"), InvalidRequest);
  EXPECT_THROW(expand(std::string(70000, 'x')), InvalidRequest);
  EXPECT_THROW(expand(std::string(40, '{') + "a|b" + std::string(40, '}')), InvalidRequest);
}

}  // namespace
}  // namespace fourstep
