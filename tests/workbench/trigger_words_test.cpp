#include "workbench/trigger_words.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

TEST(TriggerWords, ComeFromKohyasTags) {
  const Metadata metadata = {
      {"ss_tag_frequency", R"({"10_lamp":{"lamp":10,"table":3,"odd":"x"},"b":{"table":9},"c":7})"}};
  const auto words = trigger_words(metadata, 2);
  ASSERT_EQ(words.size(), 2u);
  EXPECT_EQ(words[0], (std::pair<std::string, int64_t>{"table", 12}));
  EXPECT_EQ(words[1], (std::pair<std::string, int64_t>{"lamp", 10}));
  EXPECT_EQ(trigger_words({{"modelspec.trigger_phrase", "ohwx"}})[0].first, "ohwx");
  for (const char* damaged : {"", "{", "[1]", "7", "{\"a\":{\"b\":1e99}}"})
    EXPECT_TRUE(trigger_words({{"ss_tag_frequency", damaged}}).empty()) << damaged;
}

}  // namespace
}  // namespace fourstep
