#include "inspect/token_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/golden.h"
#include "support/tiny_model.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

/// A vocabulary with the merges of "cat": ids 512 "at</w>", 513 "cat</w>", start 514, end 515.
ModelFacts toy_model(bool has_two_encoders = true) {
  return {{}, make_sdxl_noise_schedule(), {"a t</w>\nc at</w>\n", "toy"}, has_two_encoders};
}

Request token_request(const std::string& prompt, const std::string& dialect = "fourstep") {
  Request request;
  request.prompt.text = prompt;
  request.prompt.negative = "at";
  request.sampling.sampler = "lcm";
  request.sampling.dialect = dialect_from_name(dialect);
  request.sampling.cfg_scale = 2;
  request.sampling.steps = 4;
  return request;
}

ResolvedRequest resolved_request(const std::string& prompt,
                                 const std::string& dialect = "fourstep") {
  return resolve(token_request(prompt, dialect), {});
}

std::vector<int64_t> ids_of(const EncoderTokens& encoder, size_t chunk = 0) {
  std::vector<int64_t> ids;
  for (const Token& token : encoder.chunks.at(chunk)) ids.push_back(token.id);
  return ids;
}

TEST(TokenView, ShowsIdsWithTheirSpelling) {
  const TokenView view = view_tokens(resolved_request("cat at"), toy_model());
  EXPECT_EQ(view.vocab_size, 516);
  ASSERT_EQ(view.texts.size(), 2u) << "the prompt and the negative one";
  ASSERT_EQ(view.texts[0].encoders.size(), 2u);
  for (const EncoderTokens& encoder : view.texts[0].encoders) {
    ASSERT_EQ(encoder.chunks.size(), 1u);
    EXPECT_EQ(ids_of(encoder), (std::vector<int64_t>{513, 512}));
    EXPECT_EQ(encoder.chunks[0][0].bytes, "cat");
    EXPECT_TRUE(encoder.chunks[0][0].ends_word);
  }
  EXPECT_EQ(view.texts[0].encoders[0].pad_id, 515) << "CLIP-L: the end token";
  EXPECT_EQ(view.texts[0].encoders[1].pad_id, 0) << "bigG";
  EXPECT_EQ(view.texts[1].use.role, "negative prompt");
  EXPECT_EQ(ids_of(view.texts[1].encoders[0]), std::vector<int64_t>{512});
}

TEST(TokenView, LongPromptsHaveChunksOf75) {
  std::string prompt;
  for (int i = 0; i < 76; ++i) prompt += "cat ";
  const TokenView view = view_tokens(resolved_request(prompt), toy_model());
  const EncoderTokens& encoder = view.texts[0].encoders[0];
  ASSERT_EQ(encoder.chunks.size(), 2u);
  EXPECT_EQ(encoder.chunks[0].size(), 75u);
  EXPECT_EQ(token_table(view.texts[0]).rows.back()[1], "2");
  EXPECT_THAT(text_from_tokens(view), HasSubstr("76 tokens in 2 chunks"));
}

TEST(TokenView, WeightsStandBesideTheirTokensByTheDialect) {
  const auto tokens = [](const std::string& dialect) {
    return view_tokens(resolved_request("(cat:1.5) [at] <lora:x:1>", dialect), toy_model())
        .texts[0]
        .encoders[0]
        .chunks[0];
  };
  ASSERT_EQ(tokens("fourstep").size(), 2u);
  EXPECT_EQ(tokens("fourstep")[0].weight, 1.5);
  EXPECT_NEAR(tokens("fourstep")[1].weight, 1 / 1.1, 1e-12);
  EXPECT_GT(tokens("comfyui").size(), 2u) << "brackets and tags are text";
}

TEST(TokenView, EveryTextOfSchedulesAndPartsHasItsIds) {
  const TokenView view = view_tokens(resolved_request("[cat:at:2] AND cat :0.5"), toy_model());
  ASSERT_EQ(view.texts.size(), 4u);
  EXPECT_EQ(ids_of(view.texts[0].encoders[0]), std::vector<int64_t>{513});
  EXPECT_EQ(view.texts[0].use.calls, "0-2");
  EXPECT_EQ(view.texts[1].use.weight, 0.5);
  EXPECT_EQ(ids_of(view.texts[3].encoders[0]), std::vector<int64_t>{512});
  EXPECT_EQ(view.texts[3].use.calls, "3-4");
  EXPECT_THAT(text_from_tokens(view), HasSubstr("prompt (calls 3-4): at\n"));
}

TEST(TokenView, TextIsCleanedByTheDialect) {
  const auto ids = [](const std::string& dialect) {
    const TokenView view =
        view_tokens(resolved_request("\uFF43\uFF41\uFF54", dialect), toy_model());
    return ids_of(view.texts[0].encoders[0]);
  };
  EXPECT_EQ(ids("a1111"), std::vector<int64_t>{513}) << "full width";
  EXPECT_GT(ids("comfyui").size(), 1u);
}

TEST(TokenView, TheEncodersOfDiffusersDifferInTheExclamationMark) {
  const TokenView view = view_tokens(resolved_request("cat!", "diffusers"), toy_model());
  EXPECT_EQ(ids_of(view.texts[0].encoders[0]), (std::vector<int64_t>{513, 256}));
  EXPECT_EQ(ids_of(view.texts[0].encoders[1]), (std::vector<int64_t>{513, 0}));
  const Table table = token_table(view.texts[0]);
  ASSERT_EQ(table.rows.size(), 4u);
  EXPECT_EQ(table.rows[3][0], "text_encoder_2");
  const TokenView other = view_tokens(resolved_request("cat!", "a1111"), toy_model());
  EXPECT_EQ(token_table(other.texts[0]).rows.at(1)[0], "both");
}

TEST(TokenView, TextBeyondAsciiIsReadable) {
  EXPECT_EQ(readable("caf\u00E9"), "caf\u00E9");
  EXPECT_EQ(readable("a\xC3"), "a\\xC3") << "half a character";
  const TokenView view = view_tokens(resolved_request("\u00E9"), toy_model());
  EXPECT_THAT(text_from_tokens(view), HasSubstr("prompt: \u00E9\n"));
  EXPECT_EQ(json_from(view)["texts"][0]["text"], "\u00E9");
  EXPECT_EQ(json_from(view)["encoders"][0]["chunks"][0][0]["token"], "\\xC3");
}

TEST(TokenView, NagAndPerpNegReadTextsOfTheirOwn) {
  Request request = token_request("cat");
  request.sampling.cfg_scale = 1;
  request.guidance.nag.scale = 3;
  request.guidance.nag.prompt = "at at";
  const TokenView view = view_tokens(resolve(request, {}), toy_model());
  ASSERT_EQ(view.texts.size(), 3u);
  EXPECT_FALSE(view.texts[1].use.is_used);
  EXPECT_EQ(view.texts[2].use.role, "NAG prompt");
  EXPECT_EQ(ids_of(view.texts[2].encoders[0]).size(), 2u);
}

TEST(TokenView, OneEncoderIsOne) {
  const auto json =
      json_from(view_tokens(resolved_request("cat"), toy_model(/*has_two_encoders=*/false)));
  ASSERT_EQ(json["encoders"].size(), 1u);
  EXPECT_EQ(json["encoders"][0]["chunks"][0][0]["token"], "cat</w>");
  EXPECT_EQ(json["texts"].size(), 2u);
}

TEST(TokenView, TextualInversionsTakeThePlacesOfTheirVectors) {
  const testing::TemporaryFolder folder;
  testing::write_tiny_inversion(folder.path() / "blue.safetensors");
  ModelFacts model = toy_model();
  model.text_widths = {testing::kTinyTextWidth, testing::kTinyTextWidth2};
  Request request = token_request("cat blue");
  request.prompt.embedding_dir = {folder.path().string()};
  const TokenView view = view_tokens(resolve(request, {}), model);
  const auto& tokens = view.texts[0].encoders[1].chunks[0];
  ASSERT_EQ(tokens.size(), 3u);
  EXPECT_TRUE(tokens[1].is_vector && tokens[2].is_vector);
  EXPECT_EQ(token_table(view.texts[0]).rows[1][3], "-");
}

TEST(TokenView, EmbeddingsInLorasAreShownToo) {
  ModelFacts model = toy_model();
  model.text_widths = {4, 6};
  model.bundles = {
      {"ink.safetensors",
       {{"blue", {{"clip_l", torch::ones({2, 4})}, {"clip_g", torch::ones({2, 6})}}}}}};
  const TokenView view = view_tokens(resolved_request("cat blue"), model);
  const auto& tokens = view.texts[0].encoders[0].chunks[0];
  ASSERT_EQ(tokens.size(), 3u);
  EXPECT_TRUE(tokens[2].is_vector);
}

}  // namespace
}  // namespace fourstep
