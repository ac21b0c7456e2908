#include "request/image_series.h"

#include <gmock/gmock.h>

#include <fstream>
#include <set>

#include "base/error.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

TEST(ImageSeries, SizesAreOutermost) {
  const auto series = image_series({}, "1,2", "64x64, 72X64");
  ASSERT_EQ(series.size(), 4u);
  EXPECT_EQ(series[1].picture.seed, 2u);
  EXPECT_EQ(series[2].picture.seed, 1u);
  EXPECT_EQ(series[2].picture.width, 72);
}

TEST(ImageSeries, AllSizesHaveOneRandomSeed) {
  const auto series = image_series({}, "", "64x64,72x64");
  ASSERT_EQ(series.size(), 2u);
  EXPECT_TRUE(series[0].picture.seed.has_value());
  EXPECT_EQ(series[0].picture.seed, series[1].picture.seed);
}

TEST(ImageSeries, MinusOneIsARandomSeed) {
  const auto series = image_series({}, "-1,5", "64x64,72x64");
  ASSERT_EQ(series.size(), 4u);
  EXPECT_EQ(series[0].picture.seed, series[2].picture.seed);
  EXPECT_EQ(series[1].picture.seed, 5u);
}

TEST(ImageSeries, EmptyPlacesAreRefused) {
  for (const char* seeds : {"1,,2", ",1", "1,", ","}) {
    EXPECT_THAT(message_of<InvalidRequest>([&] { image_series({}, seeds, ""); }),
                HasSubstr("between the commas is empty"))
        << seeds;
  }
  EXPECT_THROW(image_series({}, "", "64x64,,72x64"), InvalidRequest);
  EXPECT_THROW(image_series({}, "", "64"), InvalidRequest);
  EXPECT_THROW(image_series({}, "1,5%", ""), InvalidRequest);
}

TEST(ImageSeries, OneSeedAndAListOfSeedsContradict) {
  Request request;
  request.picture.seed = 1;
  EXPECT_THROW(image_series(request, "1,2", ""), InvalidRequest);
}

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
    r.prompt.text = prompt;
    r.picture.seed = 5;
    r.picture.images = 20;
    r.prompt.wildcards = folder_.path().string();
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
  for (const Request& image : images) prompts.insert(image.prompt.text);
  EXPECT_GE(prompts.size(), 4u);
  Request single = request("a __Trees__ in {spring|autumn}");
  single.picture.seed = 5 + 7;
  single.picture.images = 1;
  EXPECT_EQ(expand_prompts(single), std::vector<Request>{images[7]});
}

TEST_F(PromptExpansion, LinesAreTrimmedAndMayHaveChoices) {
  const std::set<std::string> known = {"oak", "birch", "old pine", "young pine"};
  for (const Request& image : expand_prompts(request("__nature/trees__"))) {
    EXPECT_TRUE(known.count(image.prompt.text)) << image.prompt.text;
  }
}

TEST_F(PromptExpansion, AMissingSeedIsDrawnSoThatTheImageCanBeMadeAgain) {
  Request r = request("{a|b}");
  r.picture.seed.reset();
  for (const Request& image : expand_prompts(r)) EXPECT_TRUE(image.picture.seed);
}

TEST_F(PromptExpansion, UnknownAndEmptyListsAreRefused) {
  EXPECT_THROW(expand_prompts(request("__treees__")), InvalidRequest);
  EXPECT_THROW(expand_prompts(request("__empty__")), InvalidRequest);
  Request r = request("__trees__");
  r.prompt.wildcards = "/no/such/folder";
  EXPECT_THROW(expand_prompts(r), InvalidRequest);
}

TEST_F(PromptExpansion, CommentsOfTheDialectAreGoneBeforeAnythingElse) {
  Request r = request("a cat # {a|b}");
  r.prompt.negative = "dog # no";
  r.guidance.nag.prompt = "# no\nfish";
  r.sampling.dialect = Dialect::kA1111;
  const auto images = expand_prompts(r);
  ASSERT_EQ(images.size(), 1u);
  EXPECT_EQ(images[0].prompt.text, "a cat \n");
  EXPECT_EQ(images[0].prompt.negative, "dog \n");
  EXPECT_EQ(images[0].guidance.nag.prompt, "\nfish");
  EXPECT_EQ(images[0].picture.images, 20);
  EXPECT_EQ(expand_prompts(images[0]), images) << "what the metadata holds makes the same image";
  r = request("a /* {a|b} */ cat");
  r.sampling.dialect = Dialect::kComfy;
  EXPECT_EQ(expand_prompts(r).at(0).prompt.text, "a  cat");
  r.sampling.dialect = Dialect::kFourstep;
  EXPECT_EQ(expand_prompts(r).size(), 20u);
}

TEST_F(PromptExpansion, NamesWithoutAFolderAreSaid) {
  std::vector<std::string> notices;
  Events events;
  events.on_notice = [&](const std::string& sentence) { notices.push_back(sentence); };
  Request r = request("a __trees__");
  r.prompt.wildcards.clear();
  EXPECT_EQ(expand_prompts(r, events), std::vector<Request>{r});
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_NE(notices[0].find("__trees__"), std::string::npos);
}

TEST_F(PromptExpansion, WithoutAFolderAndInDiffusersNamesAreText) {
  Request r = request("__trees__");
  r.prompt.wildcards.clear();
  EXPECT_EQ(expand_prompts(r), std::vector<Request>{r});
  r = request("{a|b}");
  r.sampling.dialect = Dialect::kDiffusers;
  EXPECT_EQ(expand_prompts(r), std::vector<Request>{r});
}

}  // namespace
}  // namespace fourstep
