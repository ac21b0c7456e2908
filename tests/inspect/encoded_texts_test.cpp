#include "inspect/encoded_texts.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fourstep {
namespace {

Request text_request(const std::string& prompt, double cfg_scale) {
  Request request;
  request.prompt.text = prompt;
  request.sampling.sampler = "lcm";
  request.sampling.cfg_scale = cfg_scale;
  request.sampling.steps = 4;
  return request;
}

TEST(EncodedTexts, EachStandsOnceWithItsCalls) {
  const auto texts = encoded_texts(resolve(text_request("a [cat|hat]", 1), {}));
  ASSERT_EQ(texts.size(), 3u);
  EXPECT_EQ(texts[0].text, "a cat");
  EXPECT_EQ(texts[0].calls, "0-1, 3");
  EXPECT_EQ(texts[2].text, "a hat");
  EXPECT_EQ(texts[2].calls, "2, 4");
  EXPECT_EQ(note_of(texts[2]), "calls 2, 4");
}

TEST(EncodedTexts, ZerosAndUnusedOnesAreSaid) {
  const auto burning = encoded_texts(resolve(text_request("cat", 5), {}));
  ASSERT_EQ(burning.size(), 2u);
  EXPECT_TRUE(burning[1].is_used && burning[1].is_zeros);
  EXPECT_EQ(json_from(burning[1])["zeros"], true);
  EXPECT_EQ(note_of(encoded_texts(resolve(text_request("cat", 1), {}))[1]),
            "not used at CFG scale 1");
  Request comfy = text_request("cat", 5);
  comfy.sampling.dialect = Dialect::kComfy;
  EXPECT_FALSE(encoded_texts(resolve(comfy, {}))[1].is_zeros);
}

}  // namespace
}  // namespace fourstep
