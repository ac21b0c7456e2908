#include "text/merge_learning.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "text/bpe.h"

namespace fourstep {
namespace {

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

// 1508.07909, algorithm 1, with its example: the commonest pairs of "low", "lowest", "newer", "wider" by hand, each
// word counted once.
TEST(LearnMerges, TheCommonestPairComesFirstAndEqualOnesByTheAlphabet) {
  const std::vector<std::string> words = {"low", "lowest", "newer", "wider"};
  // e r</w> (newer, wider) = l o = o w... : "lo" and "er</w>" stand twice; "e r</w>" < "l o" in the alphabet. Then
  // "l o" twice; after it all pairs stand once ("lo w" and "lo w</w>" differ).
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
