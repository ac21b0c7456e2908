#include "pipeline/prompt_expansion.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "base/error.h"
#include "support/golden.h"

namespace fourstep {
namespace {

class PromptExpansion : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(folder_.path() / "nature");
    std::ofstream(folder_.path() / "nature/trees.txt")
        << "# comment\n\n  oak \r\nbirch\n{old|young} pine\n";
    std::ofstream(folder_.path() / "empty.txt") << "# nothing\n";
  }

  Request request(const std::string& prompt) const {
    Request r;
    r.prompt = prompt;
    r.seed = 5;
    r.images = 20;
    r.wildcards = folder_.path().string();
    return r;
  }

  testing::TemporaryFolder folder_;
};

TEST_F(PromptExpansion, WithoutRandomPartsTheRequestStaysOne) {
  EXPECT_EQ(expand_prompts(request("a {cat}")), std::vector<Request>{request("a {cat}")});
}

TEST_F(PromptExpansion, EveryImageChoosesByItsOwnSeed) {
  const auto images = expand_prompts(request("a __Trees__ in {spring|autumn}"));
  ASSERT_EQ(images.size(), 20u);
  std::set<std::string> prompts;
  for (const Request& image : images) prompts.insert(image.prompt);
  EXPECT_GE(prompts.size(), 4u);
  Request single = request("a __Trees__ in {spring|autumn}");
  single.seed = 5 + 7;
  single.images = 1;
  EXPECT_EQ(expand_prompts(single), std::vector<Request>{images[7]});
}

TEST_F(PromptExpansion, LinesAreTrimmedAndMayHaveChoices) {
  const std::set<std::string> known = {"oak", "birch", "old pine", "young pine"};
  for (const Request& image : expand_prompts(request("__nature/trees__"))) {
    EXPECT_TRUE(known.count(image.prompt)) << image.prompt;
  }
}

TEST_F(PromptExpansion, AMissingSeedIsDrawnSoThatTheImageCanBeMadeAgain) {
  Request r = request("{a|b}");
  r.seed.reset();
  for (const Request& image : expand_prompts(r)) EXPECT_TRUE(image.seed);
}

TEST_F(PromptExpansion, UnknownAndEmptyListsAreRefused) {
  EXPECT_THROW(expand_prompts(request("__treees__")), InvalidRequest);
  EXPECT_THROW(expand_prompts(request("__empty__")), InvalidRequest);
  Request r = request("__trees__");
  r.wildcards = "/no/such/folder";
  EXPECT_THROW(expand_prompts(r), InvalidRequest);
}

TEST_F(PromptExpansion, CommentsOfTheDialectAreGoneBeforeAnythingElse) {
  Request r = request("a cat # {a|b}");
  r.negative_prompt = "dog # no";
  r.guidance.nag_prompt = "# no\nfish";
  r.dialect = "a1111";
  const auto images = expand_prompts(r);
  ASSERT_EQ(images.size(), 1u);
  EXPECT_EQ(images[0].prompt, "a cat \n");
  EXPECT_EQ(images[0].negative_prompt, "dog \n");
  EXPECT_EQ(images[0].guidance.nag_prompt, "\nfish");
  EXPECT_EQ(images[0].images, 20);
  EXPECT_EQ(expand_prompts(images[0]), images) << "what the metadata holds makes the same image";
  r = request("a /* {a|b} */ cat");
  r.dialect = "comfyui";
  EXPECT_EQ(expand_prompts(r).at(0).prompt, "a  cat");
  r.dialect = "fourstep";
  EXPECT_EQ(expand_prompts(r).size(), 20u);
}

TEST_F(PromptExpansion, NamesWithoutAFolderAreSaid) {
  std::vector<std::string> notices;
  Events events;
  events.on_notice = [&](const std::string& sentence) { notices.push_back(sentence); };
  Request r = request("a __trees__");
  r.wildcards.clear();
  EXPECT_EQ(expand_prompts(r, events), std::vector<Request>{r});
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_NE(notices[0].find("__trees__"), std::string::npos);
}

TEST_F(PromptExpansion, WithoutAFolderAndInDiffusersNamesAreText) {
  Request r = request("__trees__");
  r.wildcards.clear();
  EXPECT_EQ(expand_prompts(r), std::vector<Request>{r});
  r = request("{a|b}");
  r.dialect = "diffusers";
  EXPECT_EQ(expand_prompts(r), std::vector<Request>{r});
}

}  // namespace
}  // namespace fourstep
