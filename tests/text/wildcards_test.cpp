#include "text/wildcards.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

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

TEST(Wildcards, EndlessOnesAreRefused) {
  EXPECT_THROW(expand("__loop__"), InvalidRequest);
  EXPECT_THROW(expand("__flood__"), InvalidRequest);
  EXPECT_THROW(expand(std::string(70000, 'x')), InvalidRequest);
  EXPECT_THROW(expand(std::string(40, '{') + "a|b" + std::string(40, '}')), InvalidRequest);
}

}  // namespace
}  // namespace fourstep
