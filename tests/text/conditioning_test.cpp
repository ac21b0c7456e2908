#include "text/conditioning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <optional>

#include "base/error.h"
#include "support/random_weights.h"
#include "text/text_cases.h"

namespace fourstep {
namespace {

using nlohmann::json;
using testing::relative_error;
using testing::unpack;
using Ids = std::vector<int64_t>;

ClipText golden_model(const json& shapes_json) {
  const auto shapes = shapes_json.get<NamedShapes>();
  ClipText model(clip_config_from_shapes(shapes, 0, "golden"));
  load_weights(*model, testing::random_weights(shapes), {torch::kFloat32, torch::kCPU}, "golden");
  return model;
}

/// The two encoders of clip_conditioning.json, with the tokenizers that diffusers gives them.
struct Toy {
  explicit Toy(const json& meta)
      : tokenizer(meta.at("merges").get<std::string>(), "golden"),
        tokenizer_2(meta.at("merges").get<std::string>(), "golden", {Cleaning::kNfc, true}),
        first(golden_model(meta.at("shapes").at("text_encoder"))),
        second(golden_model(meta.at("shapes").at("text_encoder_2"))) {}

  TextEncoders sdxl() { return sdxl_text_encoders(tokenizer, *first, tokenizer_2, *second); }
  TextEncoders sd15() { return sd15_text_encoders(tokenizer, *first); }

  Tokenizer tokenizer, tokenizer_2;
  ClipText first, second;
};

constexpr const char* kFile = "clip_conditioning.json";

/// The toy models, or nothing when the golden file is missing.
std::unique_ptr<Toy> load_toy() {
  const auto golden = testing::load_golden(kFile);
  return golden ? std::make_unique<Toy>(golden->at("meta")) : nullptr;
}

void expect_equal(const Conditioning& got, const json& test_case, const std::string& prefix) {
  const Tensor rows = torch::tensor(test_case.at("rows").get<Ids>());
  const auto error = [](const Tensor& tensor, const Tensor& expected) {
    if (!expected.any().item<bool>()) return (tensor - expected).abs().max().item<double>();
    return relative_error(tensor, expected);
  };
  EXPECT_LE(error(got.context.index_select(1, rows), unpack(test_case.at(prefix + "context"))),
            1e-5);
  ASSERT_EQ(got.pooled.defined(), test_case.contains(prefix + "pooled"));
  if (got.pooled.defined()) {
    EXPECT_LE(error(got.pooled, unpack(test_case.at(prefix + "pooled"))), 1e-5);
  }
}

TEST(GoldenConditioning, EqualsEncodePromptOfDiffusers) {
  const auto golden = testing::load_golden(kFile);
  if (!golden) GTEST_SKIP() << kFile << " is not there";
  Toy toy(golden->at("meta"));
  for (const json& test_case : golden->at("cases")) {
    SCOPED_TRACE(test_case.dump().substr(0, 150));
    const TextEncoders encoders = test_case.at("model") == "sdxl" ? toy.sdxl() : toy.sd15();
    PromptOptions options{ChunkRule::kTruncate, EmptyPrompt::kEncode, test_case.at("clip_skip"), 1};
    const std::string prompt = test_case.at("prompt");
    expect_equal(encode_prompt(encoders, prompt, options), test_case, "");
    // diffusers gives clip_skip to the positive prompt alone, and zeros for a negative prompt of None.
    options.clip_skip = 0;
    const bool has_negative = test_case.at("negative").is_string();
    options.empty = has_negative ? EmptyPrompt::kEncode : EmptyPrompt::kZero;
    const std::string negative = has_negative ? test_case.at("negative").get<std::string>() : "";
    expect_equal(encode_prompt(encoders, negative, options), test_case, "negative_");
  }
  testing::report_golden(kFile, golden->at("cases").size(), 0);
  EXPECT_GT(golden->at("cases").size(), 0u);
}

/// Syntax of the two programs beyond plain text.
bool has_a1111_syntax(const std::string& prompt) {
  return prompt.find_first_of("()[]\\") != std::string::npos ||
         prompt.find("BREAK") != std::string::npos;
}
bool has_comfyui_syntax(const std::string& prompt) {
  return prompt.find_first_of("()\\") != std::string::npos;
}

void expect_chunks(const std::string& prompt, ChunkRule rule, int64_t pad, const json& expected) {
  const Tokenizer& tokenizer = testing::clip_tokenizer();
  const Tensor rows = pad_chunks(split_chunks(tokenizer.encode(prompt), rule, tokenizer.comma_id()),
                                 tokenizer, pad);
  ASSERT_EQ(rows.size(0), static_cast<int64_t>(expected.size())) << prompt;
  for (int64_t i = 0; i < rows.size(0); ++i) {
    const Tensor chunk = torch::tensor(expected[i].at("tokens").get<Ids>());
    EXPECT_TRUE(torch::equal(rows[i], chunk)) << prompt << ": chunk " << i;
  }
}

TEST(GoldenConditioning, ChunksOfPlainPrompts) {
  SKIP_WITHOUT_CLIP_MERGES();
  const auto golden = testing::load_golden("prompt_chunks.json");
  if (!golden) GTEST_SKIP() << "prompt_chunks.json is not there";
  const int64_t eos = testing::clip_tokenizer().eos_id();
  size_t checked = 0, skipped = 0;
  const auto run = [&](bool has_syntax, const json& test_case, ChunkRule rule, int64_t pad,
                       const char* column) {
    ++(has_syntax ? skipped : checked);
    if (!has_syntax) expect_chunks(test_case.at("prompt"), rule, pad, test_case.at(column));
  };
  for (const json& test_case : golden->at("cases")) {
    const std::string prompt = test_case.at("prompt");
    const bool for_a1111 = has_a1111_syntax(prompt), for_comfyui = has_comfyui_syntax(prompt);
    run(for_a1111, test_case, ChunkRule::kCommaBackOff, eos, "a1111_chunks");
    run(for_comfyui, test_case, ChunkRule::kPlain, eos, "comfyui_clip_l");
    run(for_comfyui, test_case, ChunkRule::kPlain, 0, "comfyui_clip_g");
    EXPECT_EQ(testing::clip_tokenizer().encode(prompt), test_case.at("bpe_ids").get<Ids>());
  }
  testing::report_golden("prompt_chunks.json (three columns)", checked, skipped);
  EXPECT_GT(checked, 0u);
}

Ids ascending(int64_t count, std::optional<size_t> comma = std::nullopt) {
  Ids ids(count);
  std::iota(ids.begin(), ids.end(), 1000);
  if (comma) ids[*comma] = 267;
  return ids;
}

std::vector<size_t> chunk_sizes(const Ids& ids, ChunkRule rule) {
  std::vector<size_t> sizes;
  for (const auto& chunk : split_chunks(ids, rule, 267)) sizes.push_back(chunk.size());
  return sizes;
}

using Sizes = std::vector<size_t>;

TEST(Chunks, NoTokensAreOneEmptyChunk) {
  EXPECT_EQ(chunk_sizes({}, ChunkRule::kPlain), Sizes{0});
  EXPECT_EQ(chunk_sizes({}, ChunkRule::kTruncate), Sizes{0});
}

TEST(Chunks, AFullChunkStartsNoSecond) {
  EXPECT_EQ(chunk_sizes(ascending(75), ChunkRule::kPlain), Sizes{75});
  EXPECT_EQ(chunk_sizes(ascending(151), ChunkRule::kPlain), (Sizes{75, 75, 1}));
  EXPECT_EQ(chunk_sizes(ascending(151), ChunkRule::kTruncate), Sizes{75});
}

TEST(Chunks, OnlyACommaAmongTheLastTwentyTokensMovesTheTail) {
  EXPECT_EQ(chunk_sizes(ascending(80, 55), ChunkRule::kCommaBackOff), (Sizes{56, 24}));
  EXPECT_EQ(chunk_sizes(ascending(80, 54), ChunkRule::kCommaBackOff), (Sizes{75, 5}));
  EXPECT_EQ(chunk_sizes(ascending(75, 60), ChunkRule::kCommaBackOff), Sizes{75});
}

TEST(Chunks, ACommaAfterAFullChunkMovesNothing) {
  Ids ids = ascending(80, 60);
  ids[75] = 267;
  EXPECT_EQ(chunk_sizes(ids, ChunkRule::kCommaBackOff), (Sizes{75, 5}));
}

TEST(Chunks, NoTokenIsLost) {
  const Ids ids = ascending(500, 70);
  Ids joined;
  for (const auto& chunk : split_chunks(ids, ChunkRule::kCommaBackOff, 267)) {
    joined.insert(joined.end(), chunk.begin(), chunk.end());
  }
  EXPECT_EQ(joined, ids);
}

TEST(Chunks, PaddingRefusesMoreThanFits) {
  const Tokenizer tokenizer("a b\n", "toy");
  EXPECT_THROW(pad_chunks({ascending(76)}, tokenizer, 0), Error);
}

TEST(Conditioning, LongPromptsAreEncodedChunkByChunk) {
  const auto toy = load_toy();
  if (!toy) GTEST_SKIP() << kFile << " is not there";
  std::string first, second;
  for (int i = 0; i < 25; ++i) first += "red dog, ";
  for (int i = 0; i < 5; ++i) second += "the cat in the hat ";
  const Conditioning both = encode_prompt(toy->sdxl(), first + second);
  const Conditioning head = encode_prompt(toy->sdxl(), first);
  const Conditioning tail = encode_prompt(toy->sdxl(), second);
  ASSERT_EQ(both.context.sizes(), (Shape{1, 154, 192}));
  EXPECT_LE(relative_error(both.context, at::cat({head.context, tail.context}, 1)), 1e-5);
  EXPECT_LE(relative_error(both.pooled, head.pooled), 1e-5);
}

TEST(Conditioning, ShortPromptsAreFilledUpWithTheEmptyPrompt) {
  const auto toy = load_toy();
  if (!toy) GTEST_SKIP() << kFile << " is not there";
  PromptOptions options;
  const Conditioning plain = encode_prompt(toy->sdxl(), "cat", options);
  const Conditioning empty = encode_prompt(toy->sdxl(), "", options);
  options.min_chunks = 3;
  const Conditioning filled = encode_prompt(toy->sdxl(), "cat", options);
  EXPECT_LE(
      relative_error(filled.context, at::cat({plain.context, empty.context, empty.context}, 1)),
      1e-5);
  EXPECT_LE(relative_error(filled.pooled, plain.pooled), 1e-5);
}

TEST(Conditioning, TokenizersThatDisagreeOnTheNumberOfChunksAreLevelled) {
  const auto toy = load_toy();
  if (!toy) GTEST_SKIP() << kFile << " is not there";
  const std::string prompt(
      76, '!');  // with merges for none: 76 tokens for the one, specials for the other
  EXPECT_EQ(count_chunks(toy->sdxl(), prompt, ChunkRule::kPlain), 2);
  EXPECT_EQ(count_chunks(toy->sdxl(), prompt, ChunkRule::kTruncate), 1);
  EXPECT_EQ(encode_prompt(toy->sdxl(), prompt).context.size(1), 154);
}

TEST(Conditioning, OnlyTheEmptyPromptIsZeroed) {
  const auto toy = load_toy();
  if (!toy) GTEST_SKIP() << kFile << " is not there";
  const PromptOptions zero{ChunkRule::kPlain, EmptyPrompt::kZero, 0, 2};
  const Conditioning empty = encode_prompt(toy->sdxl(), "", zero);
  EXPECT_EQ(empty.context.sizes(), (Shape{1, 154, 192}));
  EXPECT_EQ(empty.context.abs().max().item<float>(), 0);
  EXPECT_EQ(empty.pooled.abs().max().item<float>(), 0);
  EXPECT_GT(encode_prompt(toy->sdxl(), " ", zero).context.abs().max().item<float>(), 0);
}

TEST(Conditioning, ImpossibleClipSkipIsRefused) {
  const auto toy = load_toy();
  if (!toy) GTEST_SKIP() << kFile << " is not there";
  PromptOptions options;
  options.clip_skip = 99;
  EXPECT_THROW(encode_prompt(toy->sdxl(), "cat", options), InvalidRequest);
}

TEST(Conditioning, TimeIdsAreHeightBeforeWidth) {
  const Tensor ids = size_time_ids({1000, 900, 8, 16, 768, 640});
  EXPECT_TRUE(
      torch::equal(ids, torch::tensor({1000.f, 900.f, 8.f, 16.f, 768.f, 640.f}).unsqueeze(0)));
}

}  // namespace
}  // namespace fourstep
