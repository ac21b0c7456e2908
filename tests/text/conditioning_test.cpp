#include "text/conditioning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/random_weights.h"
#include "text/text_cases.h"

namespace fourstep {
namespace {

using nlohmann::json;
using testing::relative_error;
using testing::unpack;
using Ids = std::vector<int64_t>;

const PromptRules kDiffusers =
    prompt_rules(Dialect::kDiffusers);  // "!" differs between the encoders
const PromptRules kA1111 = prompt_rules(Dialect::kA1111), kComfy = prompt_rules(Dialect::kComfy);

ClipText golden_model(const json& shapes_json) {
  const auto shapes = shapes_json.get<NamedShapes>();
  ClipText model(clip_config_from_shapes(shapes, 0, "golden"));
  load_weights(*model, testing::random_weights(shapes), {torch::kFloat32, torch::kCPU}, "golden");
  return model;
}

/// The two encoders of clip_conditioning.json.
struct Toy {
  explicit Toy(const json& meta)
      : tokenizer(meta.at("merges").get<std::string>(), "golden"),

        first(golden_model(meta.at("shapes").at("text_encoder"))),
        second(golden_model(meta.at("shapes").at("text_encoder_2"))) {}

  TextEncoders sdxl() { return sdxl_text_encoders(tokenizer, *first, tokenizer, *second); }
  TextEncoders sd15() { return sd15_text_encoders(tokenizer, *first); }

  Tokenizer tokenizer;
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
    PromptOptions options{kDiffusers, EmptyPrompt::kEncode, test_case.at("clip_skip")};
    const std::string prompt = test_case.at("prompt");
    expect_equal(encode_prompt(encoders, prompt, options), test_case, "");
    // diffusers gives clip_skip to the positive prompt alone, and zeros for a negative prompt of
    // None.
    options.clip_skip = 0;
    const bool has_negative = test_case.at("negative").is_string();
    options.empty = has_negative ? EmptyPrompt::kEncode : EmptyPrompt::kZero;
    const std::string negative = has_negative ? test_case.at("negative").get<std::string>() : "";
    expect_equal(encode_prompt(encoders, negative, options), test_case, "negative_");
  }
  testing::report_golden(kFile, golden->at("cases").size(), 0);
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

TEST(Conditioning, TokenizersThatDisagreeOnTheNumberOfChunksAreLevelled) {
  const auto toy = load_toy();
  if (!toy) GTEST_SKIP() << kFile << " is not there";
  const std::string prompt(
      76, '!');  // with merges for none: 76 tokens for the one, specials for the other
  PromptOptions uncut{kDiffusers};
  uncut.rules.chunks = ChunkRule::kCommaBackOff;
  EXPECT_EQ(encode_prompt(toy->sdxl(), prompt, uncut).context.size(1), 154);
  EXPECT_EQ(encode_prompt(toy->sdxl(), prompt, {kDiffusers}).context.size(1), 77);
}

TEST(Conditioning, OnlyTheEmptyPromptIsZeroed) {
  const auto toy = load_toy();
  if (!toy) GTEST_SKIP() << kFile << " is not there";
  const PromptOptions zero{{}, EmptyPrompt::kZero};
  const Conditioning empty = encode_prompt(toy->sdxl(), "", zero);
  EXPECT_EQ(empty.context.sizes(), (Shape{1, 77, 192}));
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

PromptOptions options_of(Dialect dialect) {
  PromptOptions options;
  options.rules = prompt_rules(dialect);
  return options;
}

TEST(Conditioning, WeightsActOnTheirOwnTokensAndNotOnPooled) {
  const auto toy = load_toy();
  if (!toy) GTEST_SKIP() << kFile << " is not there";
  const PromptOptions no_norm = options_of(Dialect::kFourstep);
  const Conditioning plain = encode_prompt(toy->sdxl(), "a red dog", no_norm);
  const Conditioning weighted = encode_prompt(toy->sdxl(), "a (red:1.5) dog", no_norm);
  const auto length = static_cast<int64_t>(toy->tokenizer.encode("red").size());
  const auto before = static_cast<int64_t>(toy->tokenizer.encode("a").size());
  Tensor expected = plain.context.clone();
  expected.narrow(1, 1 + before, length).mul_(1.5);
  EXPECT_LE(relative_error(weighted.context, expected), 1e-6);
  EXPECT_TRUE(torch::equal(weighted.pooled, plain.pooled));
}

TEST(Conditioning, ComfyUisWeightsStartFromTheEmptyPrompt) {
  const auto toy = load_toy();
  if (!toy) GTEST_SKIP() << kFile << " is not there";
  const PromptOptions comfy = options_of(Dialect::kComfy);
  const Tensor plain = encode_prompt(toy->sdxl(), "red", comfy).context;
  const Tensor empty = encode_prompt(toy->sdxl(), "", comfy).context;
  const Tensor none = encode_prompt(toy->sdxl(), "(red:0)", comfy).context;
  const auto length = static_cast<int64_t>(toy->tokenizer.encode("red").size());
  // Not equal to the bit: the empty prompt is a second row of the same call.
  EXPECT_LE(relative_error(none.narrow(1, 1, length), empty.narrow(1, 1, length)), 1e-5);
  EXPECT_LE(relative_error(none.narrow(1, 0, 1), plain.narrow(1, 0, 1)), 1e-5);
}

TEST(Conditioning, OfNeutralWeightsNothingIsLeft) {
  const auto toy = load_toy();
  if (!toy) GTEST_SKIP() << kFile << " is not there";
  for (const Dialect dialect : {Dialect::kFourstep, Dialect::kA1111, Dialect::kComfy}) {
    const PromptOptions options = options_of(dialect);
    EXPECT_TRUE(torch::equal(encode_prompt(toy->sdxl(), "a (red:1.0) dog", options).context,
                             encode_prompt(toy->sdxl(), "a red dog", options).context));
  }
}

TEST(Conditioning, BreakBeginsAChunkAndOnlyInA1111sGrammar) {
  const auto toy = load_toy();
  if (!toy) GTEST_SKIP() << kFile << " is not there";
  const auto chunks = [&](Dialect dialect) {
    return encode_prompt(toy->sdxl(), "a dog BREAK a cat", options_of(dialect)).context.size(1) /
           77;
  };
  EXPECT_EQ(chunks(Dialect::kFourstep), 2);
  EXPECT_EQ(chunks(Dialect::kA1111), 2);
  EXPECT_EQ(chunks(Dialect::kComfy), 1);
  EXPECT_EQ(chunks(Dialect::kDiffusers), 1);
}

/// "moods/blue": two vectors of ones for the first encoder, of twos for the second.
InversionTable blue_table() {
  return {{"moods/blue"}, [](size_t, size_t encoder) {
            return torch::full({2, encoder == 0 ? 64 : 128}, encoder + 1.0);
          }};
}

TEST(TextualInversion, VectorsTakeThePlaceOfTheName) {
  const auto toy = load_toy();
  if (!toy) GTEST_SKIP() << kFile << " is not there";
  const InversionTable table = blue_table();
  const auto ones = [](const TokenPart& part) {
    return part.tokens.size() == 2 && part.tokens[0].vector.defined() && part.tokens[0].id == 0;
  };
  const auto words = tokenize_prompt(toy->tokenizer, "a (BLUE:1.3) dog", kA1111, &table);
  ASSERT_EQ(words.size(), 3u);
  EXPECT_TRUE(ones(words[1]));
  EXPECT_EQ(words[1].tokens[1].weight, 1.3);
  const auto references =
      tokenize_prompt(toy->tokenizer, "a embedding:moods/Blue.pt, dog", kComfy, &table);
  ASSERT_EQ(references.size(), 3u);
  EXPECT_TRUE(ones(references[1]));
  for (const TokenPart& part : tokenize_prompt(toy->tokenizer, "blue", kComfy, &table))
    EXPECT_FALSE(ones(part)) << "ComfyUI knows references alone";
}

TEST(TextualInversion, AnUnknownReferenceIsRefused) {
  const auto toy = load_toy();
  if (!toy) GTEST_SKIP() << kFile << " is not there";
  const InversionTable table = blue_table();
  EXPECT_THROW(tokenize_prompt(toy->tokenizer, "embedding:green", kComfy, &table), InvalidRequest);
}

TEST(TextualInversion, BothEncodersTakeTheirOwnVectors) {
  const auto toy = load_toy();
  if (!toy) GTEST_SKIP() << kFile << " is not there";
  const int64_t first_width = toy->first->config.width, second_width = toy->second->config.width;
  const InversionTable table = {
      {"blue"}, [&](size_t, size_t encoder) {
        return torch::full({2, encoder == 0 ? first_width : second_width}, 0.5);
      }};
  PromptOptions options = options_of(Dialect::kFourstep);
  const Tensor plain = encode_prompt(toy->sdxl(), "blue", options).context;
  options.inversions = &table;
  const Tensor learned = encode_prompt(toy->sdxl(), "blue", options).context;
  EXPECT_TRUE(torch::equal(learned.narrow(1, 0, 1), plain.narrow(1, 0, 1)));
  const Tensor change = (learned - plain).abs().narrow(1, 1, 2);
  EXPECT_GT(change.narrow(2, 0, first_width).max().item<double>(), 1e-3);
  EXPECT_GT(change.narrow(2, first_width, second_width).max().item<double>(), 1e-3);
}

TEST(PromptRules, PlainWordsHaveNoSignsOfTheGrammar) {
  EXPECT_EQ(plain_words("a (red:1.2) fox <lora:x:1> AND a [cat]:2", PromptSyntax::kA1111),
            "a red fox  a cat");
  EXPECT_EQ(plain_words("a (red:1.2) fox [x]", PromptSyntax::kComfy), "a red fox [x]");
  EXPECT_EQ(plain_words("(a)", PromptSyntax::kPlain), "(a)");
}

TEST(Conditioning, TimeIdsAreHeightBeforeWidth) {
  const Tensor ids = size_time_ids({1000, 900, 8, 16, 768, 640});
  EXPECT_TRUE(
      torch::equal(ids, torch::tensor({1000.f, 900.f, 8.f, 16.f, 768.f, 640.f}).unsqueeze(0)));
}

}  // namespace
}  // namespace fourstep
