#include "text/bpe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <functional>
#include <optional>
#include <random>
#include <vector>

#include "base/error.h"
#include "base/text_tools.h"
#include "text/conditioning.h"
#include "text/text_cases.h"
#include "text/unicode.h"

namespace fourstep {

namespace {

using nlohmann::json;
using testing::clip_merges;
using testing::clip_tokenizer;
using Ids = std::vector<int64_t>;

constexpr std::string_view kToyMerges = "#version: 0.2\nt h\nth e</w>\nc a\nca t</w>\na a\n";

bool is_ascii(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x80; });
}

/// What a minimal build cannot be asked to do.
bool is_out_of_reach(const json& test_case) {
  return !has_full_unicode() && !is_ascii(test_case.at("text").get<std::string>());
}

std::vector<json> golden_cases(const char* file) {
  const auto golden = testing::load_golden(file);
  return golden ? golden->at("cases").get<std::vector<json>>() : std::vector<json>{};
}

/// Checks every case of a file against `expected(case)`; cases it returns nothing for are not
/// counted.
void check_file(const char* file, TokenizerOptions options,
                const std::function<std::optional<Ids>(const json&)>& expected) {
  const std::vector<json> cases = golden_cases(file);
  if (cases.empty()) GTEST_SKIP() << file << " is not there";
  size_t checked = 0, skipped = 0;
  for (const json& test_case : cases) {
    const std::optional<Ids> ids = expected(test_case);
    if (!ids || is_out_of_reach(test_case)) {
      ++skipped;
      continue;
    }
    ++checked;
    EXPECT_EQ(clip_tokenizer().encode(test_case.at("text").get<std::string>(), options), *ids)
        << test_case["id"];
  }
  testing::report_golden(file, checked, skipped);
}

std::optional<Ids> plain_ids(const json& test_case) { return test_case.at("ids").get<Ids>(); }

TEST(GoldenTokenizer, CanonicalIds) {
  SKIP_WITHOUT_CLIP_MERGES();
  check_file("tokenizer.json", {}, plain_ids);
}

TEST(GoldenTokenizer, RandomUnicodeAsTransformersHasIt) {
  SKIP_WITHOUT_CLIP_MERGES();
  check_file("tokenizer_unicode.json", {}, plain_ids);
}

TEST(GoldenTokenizer, BangAsSpecialToken) {
  SKIP_WITHOUT_CLIP_MERGES();
  check_file("tokenizer.json", {Cleaning::kNfc, /*bang_special=*/true}, [](const json& test_case) {
    return std::optional(
        test_case.value("tokenizer_2_bang_special", test_case.at("ids").get<Ids>()));
  });
}

/// A cleaning variant; its column lists only what differs from the canonical ids.
void check_variant(Cleaning cleaning, const char* column) {
  check_file("tokenizer.json", {cleaning}, [&](const json& test_case) -> std::optional<Ids> {
    const json differs = test_case.value("differs", json::object());
    return differs.value(column, test_case.at("ids").get<Ids>());
  });
}

TEST(GoldenTokenizer, OpenAiCleaning) {
  SKIP_WITHOUT_CLIP_MERGES();
  check_variant(Cleaning::kOpenAi, "openai");
}

TEST(GoldenTokenizer, SlowCleaningWithTextRepair) {
  SKIP_WITHOUT_CLIP_MERGES();
  check_variant(Cleaning::kSlowFtfy, "hf_slow_ftfy");
}

TEST(GoldenTokenizer, SlowCleaningWithoutTextRepair) {
  SKIP_WITHOUT_CLIP_MERGES();
  check_variant(Cleaning::kSlowBasic, "hf_slow_basic");
}

// Strings of many scripts, of wrongly decoded text, entities and controls, see
// tests/oracle/make_cleaning.py.
void check_cleaning(Cleaning cleaning, const char* column) {
  check_file("tokenizer_cleaning.json", {cleaning},
             [column](const json& test_case) { return test_case.at(column).get<Ids>(); });
}

TEST(GoldenCleaning, WithTextRepairAsSlowTransformers) {
  SKIP_WITHOUT_CLIP_MERGES();
  check_cleaning(Cleaning::kSlowFtfy, "hf_slow_ftfy");
}

TEST(GoldenCleaning, WithoutTextRepairAsSlowTransformers) {
  SKIP_WITHOUT_CLIP_MERGES();
  check_cleaning(Cleaning::kSlowBasic, "hf_slow_basic");
}

TEST(GoldenCleaning, WithEntitiesAsOpenAi) {
  SKIP_WITHOUT_CLIP_MERGES();
  check_cleaning(Cleaning::kOpenAi, "openai");
}

TEST(GoldenTokenizer, PaddedRowsOfBothTokenizers) {
  SKIP_WITHOUT_CLIP_MERGES();
  const Tokenizer& tokenizer = clip_tokenizer();
  const TokenizerOptions plain, bang{Cleaning::kNfc, /*bang_special=*/true};
  const std::tuple<const char*, TokenizerOptions, int64_t> columns[] = {
      {"l77", plain, tokenizer.eos_id()}, {"g77", plain, 0}, {"g77_bang_special", bang, 0}};
  size_t checked = 0, skipped = 0;
  for (const json& test_case : golden_cases("tokenizer.json")) {
    for (const auto& [column, options, pad] : columns) {
      if (!test_case.contains(column)) continue;
      if (is_out_of_reach(test_case)) {
        ++skipped;
        continue;
      }
      const Ids ids = tokenizer.encode(test_case.at("text").get<std::string>(), options);
      const Tensor row = pad_chunks({plain_chunk(ids)}, tokenizer, pad).ids;
      const Ids got(row.const_data_ptr<int64_t>(), row.const_data_ptr<int64_t>() + row.numel());
      EXPECT_EQ(got, test_case.at(column).get<Ids>()) << test_case["id"] << " " << column;
      ++checked;
    }
  }
  testing::report_golden("tokenizer.json (padded rows)", checked, skipped);
}

TEST(Tokenizer, IdsOfClipsVocabulary) {
  SKIP_WITHOUT_CLIP_MERGES();
  EXPECT_EQ(clip_tokenizer().vocab_size(), 49408);
  EXPECT_EQ(clip_tokenizer().bos_id(), 49406);
  EXPECT_EQ(clip_tokenizer().eos_id(), 49407);
  EXPECT_EQ(clip_tokenizer().encode(","), Ids{clip_tokenizer().comma_id()});
}

// Source: transformers 5.23 and 4.49, and OpenAI's word rule.
TEST(Tokenizer, SpecialTokensBehindSymbolsAreThoseOfTransformersAlone) {
  SKIP_WITHOUT_CLIP_MERGES();
  const Tokenizer& tokenizer = clip_tokenizer();
  const Ids expected = {tokenizer.encode(";")[0], tokenizer.bos_id()};
  EXPECT_EQ(tokenizer.encode(";<|startoftext|>"), expected);
  EXPECT_EQ(tokenizer.encode(";<|startoftext|>", {Cleaning::kSlowFtfy}), expected);
  EXPECT_GT(tokenizer.encode(";<|startoftext|>", {Cleaning::kOpenAi}).size(), 2u);
  EXPECT_EQ(tokenizer.encode("a <|ENDOFTEXT|>").back(), tokenizer.eos_id());
}

TEST(Tokenizer, ASmallVocabularyFollowsTheSameRule) {
  const Tokenizer toy(kToyMerges, "toy");
  EXPECT_EQ(toy.vocab_size(), 512 + 5 + 2);
  EXPECT_EQ(toy.bos_id(), 517);
  EXPECT_EQ(toy.eos_id(), 518);
  EXPECT_EQ(toy.encode("The CAT,"), (Ids{513, 515, 267}));
  EXPECT_EQ(toy.encode("th!"),
            (Ids{'t' - 33, 256 + 'h' - 33, 256}));  // "h" ends the word: no merge
}

TEST(Tokenizer, TokensAreSpelledAsInTheVocabulary) {
  // ids and texts of OpenAI's vocabulary (its vocab.json)
  EXPECT_EQ(clip_tokenizer().token_text(0), "!");
  EXPECT_EQ(clip_tokenizer().token_bytes(267), ",");
  std::string cat;  // of several tokens, none of which is a character
  for (const int64_t id : clip_tokenizer().encode("\u732B"))
    cat += clip_tokenizer().token_bytes(id);
  EXPECT_EQ(cat, "\u732B");
  EXPECT_EQ(clip_tokenizer().token_text(267), ",</w>");
  EXPECT_EQ(clip_tokenizer().token_text(320), "a</w>");
  EXPECT_EQ(clip_tokenizer().token_text(49406), "<|startoftext|>");
  EXPECT_EQ(clip_tokenizer().token_text(49407), "<|endoftext|>");
  EXPECT_THROW(clip_tokenizer().token_text(49408), Error);
  EXPECT_THROW(clip_tokenizer().token_text(-1), Error);
}

TEST(Tokenizer, EqualPairsMergeFromTheLeft) {
  const Tokenizer toy("a a\n", "toy");
  EXPECT_EQ(toy.encode("aaaa"), (Ids{512, 'a' - 33, 256 + 'a' - 33}));
}

TEST(Tokenizer, LinesAfterTheLastUsedOneAreIgnored) {
  SKIP_WITHOUT_CLIP_MERGES();
  const Tokenizer longer(clip_merges() + "\nno such tokens at all\n", "merges");
  EXPECT_EQ(longer.vocab_size(), 49408);
}

TEST(Tokenizer, HeaderAndLineEndingsDoNotMatter) {
  const Tokenizer crlf("a b\r\nab c</w>\r\n\r\n", "toy");
  EXPECT_EQ(crlf.vocab_size(), 516);
  EXPECT_EQ(crlf.encode("abc"), Ids{513});
}

TEST(Tokenizer, ABrokenMergesFileIsNamedWithItsLine) {
  const auto message = [](std::string_view text) -> std::string {
    try {
      Tokenizer broken(text, "x/merges.txt");
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(message("#version: 0.2\na b\nabc d\n"),
              ::testing::StartsWith("x/merges.txt: line 3: \"abc d\" is no merge"));
  EXPECT_THAT(message("{\"a\": 1}"), ::testing::HasSubstr("line 1"));
  EXPECT_THAT(message("a\n"), ::testing::HasSubstr("line 1"));
  EXPECT_THAT(message(""), ::testing::HasSubstr("no merges found"));
  EXPECT_THAT(message(std::string("\0\xFF\xFE\n", 4)), ::testing::HasSubstr("line 1"));
}

TEST(Tokenizer, AnyBytesAreAPrompt) {
  const Tokenizer toy(kToyMerges, "toy");
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  for (size_t start = 0; start < all.size(); ++start) {
    for (const int64_t id : toy.encode(all.substr(start) + all)) {
      ASSERT_GE(id, 0);
      ASSERT_LT(id, toy.vocab_size());
    }
  }
  EXPECT_EQ(toy.encode("\xFF"), toy.encode("\uFFFD"));
}

TEST(Tokenizer, HugePromptsAreLinear) {
  const Tokenizer toy(kToyMerges, "toy");
  EXPECT_EQ(toy.encode(std::string(5000, 'x')).size(), 5000u);
  // One word of a megabyte: merging pair by pair through the whole word each time would take hours.
  EXPECT_EQ(toy.encode(std::string(1 << 20, 'a')).size(), (1u << 19) + 1);
}

using Ids = std::vector<int64_t>;

Tokenizer tokenizer_of(const std::vector<std::string>& words) {
  return Tokenizer(learn_merges(words), "learned");
}

TEST(LearnMerges, EveryWordBecomesOneToken) {
  const std::vector<std::string> words = {"a",     "an",  "and",  "banana", "bandana",
                                          "candy", "on",  "of",   "green",  "greener",
                                          "to",    "too", "tooth"};
  const Tokenizer tokenizer = tokenizer_of(words);
  std::set<int64_t> ids;
  for (const std::string& word : words) {
    const Ids encoded = tokenizer.encode(word);
    ASSERT_EQ(encoded.size(), 1u) << word;
    ids.insert(encoded.front());
  }
  EXPECT_EQ(ids.size(), words.size()) << "different words have different tokens";
  EXPECT_EQ(tokenizer.encode("green banana").size(), 2u);
}

// Few letters make runs and overlaps such as "aaab", where the order of merges decides.
TEST(LearnMerges, EveryWordOfAnAlphabetOfTwoLettersToo) {
  std::mt19937 generator(1);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::string> words;
    for (int i = 0; i < 40; ++i) {
      std::string& word = words.emplace_back();
      const size_t length = 1 + generator() % 9;
      while (word.size() < length) word += "ab"[generator() % 2];
    }
    const Tokenizer tokenizer = tokenizer_of(words);
    for (const std::string& word : words) EXPECT_EQ(tokenizer.encode(word).size(), 1u) << word;
  }
}

// 1508.07909, algorithm 1, with its example: the commonest pairs of "low", "lowest", "newer",
// "wider" by hand, each word counted once.
TEST(LearnMerges, TheCommonestPairComesFirstAndEqualOnesByTheAlphabet) {
  const std::vector<std::string> words = {"low", "lowest", "newer", "wider"};
  // e r</w> (newer, wider) = l o = o w... : "lo" and "er</w>" stand twice; "e r</w>" < "l o" in the
  // alphabet. Then "l o" twice; after it all pairs stand once ("lo w" and "lo w</w>" differ).
  const std::string merges = learn_merges(words);
  EXPECT_EQ(merges.substr(0, merges.find("d er</w>")), "#version: 0.2\ne r</w>\nl o\n");
}

TEST(LearnMerges, RepeatedWordsCountOnce) {
  const std::vector<std::string> once = {"cat", "cow"}, often = {"cow", "cat", "cow", "cow"};
  EXPECT_EQ(learn_merges(once), learn_merges(often));
}

TEST(LearnMerges, ThereAreAtMostSoMany) {
  const std::vector<std::string> words = {"abcdef"};
  EXPECT_EQ(learn_merges(words, 2), "#version: 0.2\na b\nab c\n");
  EXPECT_EQ(learn_merges(words, 0), "#version: 0.2\n");
}

TEST(LearnMerges, OtherBytesStayUnmerged) {
  const std::vector<std::string> words = {"caf\xC3\xA9", "x", "", "tea"};
  EXPECT_EQ(learn_merges(words), "#version: 0.2\ne a</w>\nt ea</w>\n");
}

}  // namespace

}  // namespace fourstep
