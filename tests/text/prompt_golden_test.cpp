// prompts.json: what the prompt parsers of A1111/Forge and ComfyUI make of a text.

#include <gtest/gtest.h>

#include <cstdio>

#include "support/golden.h"
#include "text/emphasis.h"
#include "text/prompt_scan.h"
#include "text/prompt_schedule.h"

namespace fourstep {
namespace {

using nlohmann::json;

constexpr const char* kPromptsFile = "prompts.json";
constexpr double kWeightTolerance = 1e-12;

void expect_parts(const std::vector<WeightedText>& got, const json& expected,
                  const std::function<WeightedText(const json&)>& read) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const WeightedText part = read(expected[i]);
    EXPECT_EQ(got[i].text, part.text);
    EXPECT_NEAR(got[i].weight, part.weight, kWeightTolerance * std::abs(part.weight)) << part.text;
  }
}

WeightedText from_pair(const json& pair) { return {pair.at(0), pair.at(1)}; }
WeightedText from_object(const json& part) { return {part.at("text"), part.at("weight")}; }

/// "steps10", "steps20_old", "base10_hires5".
PromptClock clock_of(const std::string& name) {
  long long first = 0, second = 0;
  if (std::sscanf(name.c_str(), "base%lld_hires%lld", &first, &second) == 2)
    return {first, second, false};
  if (std::sscanf(name.c_str(), "steps%lld", &first) != 1)
    throw std::runtime_error("no clock: " + name);
  return {first, {}, name.ends_with("_old")};
}

void check_schedules(const std::string& text, const json& expected) {
  for (const auto& [name, texts] : expected.items()) {
    const auto got = parse_prompt_schedule(text, clock_of(name));
    ASSERT_EQ(got.size(), texts.size()) << name;
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].last_call, texts[i].at(0).get<int64_t>()) << name;
      EXPECT_EQ(got[i].text, texts[i].at(1).get<std::string>()) << name;
    }
  }
}

void check_networks(const TaggedPrompt& got, const json& expected) {
  EXPECT_EQ(got.text, expected.at("cleaned").get<std::string>());
  const json& networks = expected.at("networks");
  ASSERT_EQ(got.tags.size(), networks.size());
  // The reference sorts by type; within a type the order is that of the prompt.
  std::map<std::string, size_t> seen;
  for (const json& network : networks) {
    const std::string type = network.at("type");
    size_t skip = seen[type]++;
    const auto tag = std::find_if(got.tags.begin(), got.tags.end(), [&](const NetworkTag& t) {
      return t.type == type && skip-- == 0;
    });
    ASSERT_NE(tag, got.tags.end()) << type;
    EXPECT_EQ(tag->positional, network.at("positional").get<std::vector<std::string>>());
    EXPECT_EQ(tag->named, (network.at("named").get<std::map<std::string, std::string>>()));
  }
}

/// Checks the columns that the case has; returns their number.
size_t check_columns(const json& test_case) {
  const std::string prompt = test_case.at("prompt");
  // As in the web UI, A1111's parsers see the prompt without its tags; ComfyUI's sees all of it.
  const TaggedPrompt tagged = parse_network_tags(prompt);
  const std::string& text = tagged.text;
  const std::map<std::string, std::function<void(const json&)>> columns = {
      {"a1111_attention",
       [&](const json& e) { expect_parts(parse_a1111_emphasis(text), e, from_pair); }},
      {"a1111_schedules", [&](const json& e) { check_schedules(text, e); }},
      {"a1111_and", [&](const json& e) { expect_parts(parse_composition(text), e, from_object); }},
      {"extra_networks", [&](const json& e) { check_networks(tagged, e); }},
      {"comfyui_token_weights",
       [&](const json& e) { expect_parts(parse_comfy_emphasis(prompt), e, from_pair); }},
  };
  size_t checked = 0;
  for (const auto& [name, check] : columns) {
    if (!test_case.contains(name)) continue;
    SCOPED_TRACE(name + ": " + prompt);
    check(test_case.at(name));
    ++checked;
  }
  return checked;
}

TEST(GoldenPrompts, EveryColumnOfEveryCase) {
  const auto golden = testing::load_golden(kPromptsFile);
  if (!golden) GTEST_SKIP() << kPromptsFile << " is not there";
  size_t checked = 0, skipped = 0;
  for (const json& test_case : golden->at("cases")) {
    ++(check_columns(test_case) > 0 ? checked : skipped);
  }
  testing::report_golden(kPromptsFile, checked, skipped);
}

}  // namespace
}  // namespace fourstep
