#include "text/chunks.h"

#include <gtest/gtest.h>

#include <numeric>
#include <optional>

#include "base/error.h"
#include "text/prompt_rules.h"
#include "text/text_cases.h"

namespace fourstep {
namespace {

using nlohmann::json;
using Ids = std::vector<int64_t>;
using Sizes = std::vector<size_t>;

constexpr int64_t kComma = 267;

std::vector<TokenChunk> chunks_of(const std::string& prompt, Dialect dialect) {
  const Tokenizer& tokenizer = testing::clip_tokenizer();
  PromptRules rules = prompt_rules(dialect);
  rules.cleaning =
      Cleaning::kNfc;  // as the tokenizer that stood in when the golden files were made
  return split_chunks(tokenize_prompt(tokenizer, prompt, rules), rules.chunks,
                      tokenizer.comma_id());
}

void expect_rows(const std::vector<TokenChunk>& chunks, int64_t pad, const json& expected,
                 const char* weights) {
  const ChunkRows rows = pad_chunks(chunks, testing::clip_tokenizer(), pad);
  ASSERT_EQ(chunks.size(), expected.size());
  for (size_t i = 0; i < chunks.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    EXPECT_TRUE(torch::equal(rows.ids[row], torch::tensor(expected[i].at("tokens").get<Ids>())))
        << "chunk " << i;
    EXPECT_LE(testing::max_absolute_error(testing::to_doubles(rows.weights[row]),
                                          testing::numbers(expected[i].at(weights))),
              1e-12)
        << "chunk " << i;
  }
}

/// A1111's count: 75 for each finished chunk, and the tokens of the last one. A BREAK at the end
/// finishes it.
int64_t a1111_token_count(const std::string& prompt, const std::vector<TokenChunk>& chunks) {
  const auto parts = tokenize_prompt(testing::clip_tokenizer(), prompt,
                                     {PromptSyntax::kA1111, ChunkRule::kCommaBackOff});
  bool is_finished = false;
  for (const TokenPart& part : parts) {
    if (part.kind == TokenPart::Kind::kBreak) is_finished = true;
    if (!part.tokens.empty()) is_finished = false;
  }
  const auto count = static_cast<int64_t>(chunks.size());
  return is_finished ? count * kChunkTokens
                     : (count - 1) * kChunkTokens + static_cast<int64_t>(chunks.back().size());
}

/// Checks the columns that the case has.
void check_chunks(const json& test_case) {
  const std::string prompt = test_case.at("prompt");
  SCOPED_TRACE(prompt);
  const int64_t eos = testing::clip_tokenizer().eos_id();
  const auto a1111 = chunks_of(prompt, Dialect::kA1111), comfy = chunks_of(prompt, Dialect::kComfy);
  const std::map<std::string, std::function<void(const json&)>> columns = {
      {"bpe_ids",
       [&](const json& e) { EXPECT_EQ(testing::clip_tokenizer().encode(prompt), e.get<Ids>()); }},
      {"a1111_chunks", [&](const json& e) { expect_rows(a1111, eos, e, "multipliers"); }},
      {"a1111_token_count",
       [&](const json& e) { EXPECT_EQ(a1111_token_count(prompt, a1111), e.get<int64_t>()); }},
      {"comfyui_clip_l", [&](const json& e) { expect_rows(comfy, eos, e, "weights"); }},
      {"comfyui_clip_g", [&](const json& e) { expect_rows(comfy, 0, e, "weights"); }},
  };
  for (const auto& [name, check] : columns) {
    if (test_case.contains(name)) check(test_case.at(name));
  }
}

TEST(GoldenChunks, EveryColumnOfEveryCase) {
  SKIP_WITHOUT_CLIP_MERGES();
  const auto golden = testing::load_golden("prompt_chunks.json");
  if (!golden) GTEST_SKIP() << "prompt_chunks.json is not there";
  for (const json& test_case : golden->at("cases")) check_chunks(test_case);
  testing::report_golden("prompt_chunks.json", golden->at("cases").size(), 0);
}

/// The encoder of prompt_conditioning_toy.json: z = sin(0.01 * token * d + 0.3 * position) + 0.2, d
/// = 1, 2, 3.
Tensor toy_encode(const Tensor& ids) {
  const Tensor d = torch::arange(1, 4, torch::kFloat64);
  const Tensor position = torch::arange(ids.size(1), torch::kFloat64).unsqueeze(-1);
  return at::sin(0.01 * ids.to(torch::kFloat64).unsqueeze(-1) * d + 0.3 * position) + 0.2;
}

Tensor toy_context(const std::string& prompt, Dialect dialect, EmphasisRule rule) {
  const Tokenizer& tokenizer = testing::clip_tokenizer();
  const ChunkRows rows = pad_chunks(chunks_of(prompt, dialect), tokenizer, tokenizer.eos_id());
  const Tensor empty = toy_encode(pad_chunks({{}}, tokenizer, tokenizer.eos_id()).ids);
  return weigh_chunks(toy_encode(rows.ids), rows.weights, rule, empty);
}

void expect_context(const Tensor& got, const json& expected) {
  EXPECT_EQ(shape_of(got), expected.at("shape").get<Shape>());
  const json& rows = expected.at("first_token_rows");
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_LE(testing::max_absolute_error(testing::to_doubles(got[0][static_cast<int64_t>(i)]),
                                          testing::numbers(rows[i])),
              1e-6);
  }
  EXPECT_NEAR(got.sum().item<double>(), expected.at("sum").get<double>(), 1e-4);
  EXPECT_NEAR(got.square().sum().item<double>(), expected.at("sumsq").get<double>(), 1e-4);
}

TEST(GoldenChunks, FromPromptToContextWithAToyEncoder) {
  SKIP_WITHOUT_CLIP_MERGES();
  const char* file = "prompt_conditioning_toy.json";
  const auto golden = testing::load_golden(file);
  if (!golden) GTEST_SKIP() << file << " is not there";
  for (const json& test_case : golden->at("cases")) {
    const std::string prompt = test_case.at("prompt");
    SCOPED_TRACE(prompt);
    expect_context(toy_context(prompt, Dialect::kComfy, EmphasisRule::kComfy),
                   test_case.at("comfyui"));
    expect_context(toy_context(prompt, Dialect::kA1111, EmphasisRule::kOriginal),
                   test_case.at("a1111_original"));
    expect_context(toy_context(prompt, Dialect::kA1111, EmphasisRule::kNoNorm),
                   test_case.at("a1111_no_norm"));
  }
  testing::report_golden(file, golden->at("cases").size(), 0);
}

Tensor tensor_of(const json& value) {
  return torch::tensor(testing::numbers(value.at("data")), torch::kFloat64)
      .view(value.at("shape").get<Shape>());
}

TEST(GoldenEmphasis, WeighedStatesOfGuidanceJson) {
  const auto golden = testing::load_golden("guidance.json");
  if (!golden) GTEST_SKIP() << "guidance.json is not there";
  const std::map<std::string, EmphasisRule> rules = {
      {"emphasis_a1111_original", EmphasisRule::kOriginal},
      {"emphasis_a1111_no_norm", EmphasisRule::kNoNorm},
      {"emphasis_comfyui", EmphasisRule::kComfy}};
  size_t checked = 0, other = 0;
  for (const json& test_case : golden->at("cases")) {
    const std::string name = test_case.at("name");
    const auto rule = rules.find(name);
    if (rule == rules.end()) {
      EXPECT_FALSE(name.starts_with("emphasis")) << name << " is not known";
      ++other;
      continue;
    }
    const bool is_comfy = rule->second == EmphasisRule::kComfy;
    const Tensor out = weigh_tokens(
        tensor_of(test_case.at("z")), tensor_of(test_case.at(is_comfy ? "weights" : "multipliers")),
        rule->second, is_comfy ? tensor_of(test_case.at("z_empty")) : Tensor());
    EXPECT_LE(testing::max_absolute_error(testing::to_doubles(out),
                                          testing::numbers(test_case.at("out").at("data"))),
              1e-9)
        << name;
    ++checked;
  }
  testing::report_golden("guidance.json (emphasis)", checked, other);
}

TEST(WeighTokens, AMeanOfZeroLeavesTheStatesFinite) {
  const Tensor z = torch::tensor({1.0, -2.0}).view({1, 2, 1});
  const Tensor weights = torch::tensor({2.0, 1.0}).view({1, 2});
  EXPECT_TRUE(weigh_tokens(z, weights, EmphasisRule::kOriginal, {}).isfinite().all().item<bool>());
}

TokenPart ascending(int64_t count, std::optional<size_t> comma = std::nullopt) {
  TokenPart part;
  for (int64_t i = 0; i < count; ++i) part.tokens.push_back({1000 + i});
  if (comma) part.tokens[*comma].id = kComma;
  return part;
}

Sizes chunk_sizes(const std::vector<TokenPart>& parts, ChunkRule rule) {
  Sizes sizes;
  for (const auto& chunk : split_chunks(parts, rule, kComma)) sizes.push_back(chunk.size());
  return sizes;
}

TEST(Chunks, NoTokensAreOneEmptyChunk) {
  EXPECT_EQ(chunk_sizes({}, ChunkRule::kWholeParts), Sizes{0});
  EXPECT_EQ(chunk_sizes({}, ChunkRule::kTruncate), Sizes{0});
  EXPECT_EQ(chunk_sizes({}, ChunkRule::kCommaBackOff), Sizes{0});
}

TEST(Chunks, AFullChunkStartsNoSecond) {
  EXPECT_EQ(chunk_sizes({ascending(75)}, ChunkRule::kWholeParts), Sizes{75});
  EXPECT_EQ(chunk_sizes({ascending(151)}, ChunkRule::kWholeParts), (Sizes{75, 75, 1}));
  EXPECT_EQ(chunk_sizes({ascending(151)}, ChunkRule::kTruncate), Sizes{75});
}

TEST(Chunks, OnlyACommaAmongTheLastTwentyTokensMovesTheTail) {
  EXPECT_EQ(chunk_sizes({ascending(80, 55)}, ChunkRule::kCommaBackOff), (Sizes{56, 24}));
  EXPECT_EQ(chunk_sizes({ascending(80, 54)}, ChunkRule::kCommaBackOff), (Sizes{75, 5}));
  EXPECT_EQ(chunk_sizes({ascending(75, 60)}, ChunkRule::kCommaBackOff), Sizes{75});
}

TEST(Chunks, ACommaAfterAFullChunkMovesNothing) {
  TokenPart part = ascending(80, 60);
  part.tokens[75].id = kComma;
  EXPECT_EQ(chunk_sizes({part}, ChunkRule::kCommaBackOff), (Sizes{75, 5}));
}

TEST(Chunks, ShortPartsStayWholeAndLongOnesAreCut) {
  EXPECT_EQ(chunk_sizes({ascending(70), ascending(7)}, ChunkRule::kWholeParts), (Sizes{70, 7}));
  EXPECT_EQ(chunk_sizes({ascending(70), ascending(8)}, ChunkRule::kWholeParts), (Sizes{75, 3}));
  EXPECT_EQ(chunk_sizes({ascending(70), ascending(5)}, ChunkRule::kWholeParts), Sizes{75});
}

TEST(Chunks, BreaksEndChunksAndALastOneAddsNone) {
  const TokenPart end{TokenPart::Kind::kBreak, {}};
  EXPECT_EQ(chunk_sizes({ascending(3), end, ascending(2)}, ChunkRule::kCommaBackOff),
            (Sizes{3, 2}));
  EXPECT_EQ(chunk_sizes({ascending(3), end, {}}, ChunkRule::kCommaBackOff), Sizes{3});
  EXPECT_EQ(chunk_sizes({end, end, ascending(1)}, ChunkRule::kCommaBackOff), (Sizes{0, 0, 1}));
}

TEST(Chunks, VectorsOfOneInversionStayTogether) {
  TokenPart vectors{TokenPart::Kind::kVectors, {}};
  for (int i = 0; i < 10; ++i) vectors.tokens.push_back({0, 1, torch::ones({2})});
  EXPECT_EQ(chunk_sizes({ascending(70), vectors}, ChunkRule::kCommaBackOff), (Sizes{70, 10}));
  const ChunkRows rows =
      pad_chunks(split_chunks({ascending(70), vectors}, ChunkRule::kCommaBackOff, kComma),
                 Tokenizer("a b\n", "toy"), 0);
  ASSERT_EQ(rows.vectors.size(), 10u);
  EXPECT_EQ(rows.vectors[0].row, 1);
  EXPECT_EQ(rows.vectors[0].position, 1);
}

TEST(Chunks, NoTokenIsLost) {
  const TokenPart part = ascending(500, 70);
  Ids joined, expected;
  for (const PromptToken& token : part.tokens) expected.push_back(token.id);
  for (const auto& chunk : split_chunks({part}, ChunkRule::kCommaBackOff, kComma)) {
    for (const PromptToken& token : chunk) joined.push_back(token.id);
  }
  EXPECT_EQ(joined, expected);
}

TEST(Chunks, PaddingRefusesMoreThanFits) {
  const Tokenizer tokenizer("a b\n", "toy");
  EXPECT_THROW(pad_chunks({ascending(76).tokens}, tokenizer, 0), Error);
}

}  // namespace
}  // namespace fourstep
