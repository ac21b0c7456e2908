#include "request/wildcard_lists.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class WildcardLists : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& bytes) {
    const auto path = folder_.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
  }

  std::vector<std::string> options(const std::string& name, Dialect dialect = Dialect::kFourstep) {
    Events events;
    events.on_notice = [this](const std::string& sentence) { notices_.push_back(sentence); };
    return wildcard_lists(folder_.path().string(), dialect, events)(name);
  }

  /// The message for a name that has no list.
  std::string refusal(const std::string& name) {
    try {
      options(name);
    } catch (const InvalidRequest& error) {
      return error.what();
    }
    return "";
  }

  testing::TemporaryFolder folder_;
  std::vector<std::string> notices_;
};

TEST_F(WildcardLists, AByteOrderMarkIsNoPartOfTheFirstLine) {
  write("a.txt",
        "\xEF\xBB\xBFr\xC3\xA9"
        "d\r\nblue\r\n");
  EXPECT_THAT(options("a"), ElementsAre("r\u00E9"
                                        "d",
                                        "blue"));
  EXPECT_TRUE(notices_.empty());
  write("b.txt", std::string("\xFF\xFE\xE9\0\n\0b\0", 8));
  EXPECT_THAT(options("b"), ElementsAre("\u00E9", "b"));
  write("c.txt", std::string("\xFE\xFF\0\xE9\0\n\0b", 8));
  EXPECT_THAT(options("c"), ElementsAre("\u00E9", "b"));
  ASSERT_EQ(notices_.size(), 2u);
  EXPECT_THAT(notices_[0], HasSubstr("UTF-16"));
}

TEST_F(WildcardLists, OtherBytesAreWindows1252WithANotice) {
  write("a.txt", "caf\xE9 \x80\x35\nblue\n");
  EXPECT_THAT(options("a"), ElementsAre("caf\u00E9 \u20AC\x35", "blue"));
  ASSERT_EQ(notices_.size(), 1u);
  EXPECT_THAT(notices_[0], HasSubstr("a.txt is not UTF-8"));
}

TEST_F(WildcardLists, BytesThatAreNoTextAreRefused) {
  write("a.txt", std::string("a\0b\0", 4));
  EXPECT_THAT(refusal("a"), HasSubstr("NUL"));
}

TEST_F(WildcardLists, EmptyLinesAndCommentsDoNotCount) {
  write("a.txt", "# list\n\n  red \r\n\rblue # cold\n");
  EXPECT_THAT(options("a"), ElementsAre("red", "blue # cold"));
  EXPECT_THAT(options("a", Dialect::kA1111), ElementsAre("red", "blue"));
}

TEST_F(WildcardLists, PatternsJoinListsAndTakeEachOptionOnce) {
  write("clothes.txt", "hat\nscarf\n");
  write("Clothing.txt", "coat\nhat\n");
  write("deep/er/hats.txt", "cap\n");
  EXPECT_THAT(options("cloth*"), ElementsAre("coat", "hat", "scarf"));
  EXPECT_THAT(options("**/hats"), ElementsAre("cap"));
  EXPECT_THAT(options("hat?"), ElementsAre("cap")) << "sub-folders where nothing else fits";
  EXPECT_THAT(options("[!d]lothes"), ElementsAre("hat", "scarf"));
  EXPECT_THAT(refusal("shoe*"), HasSubstr("shoe*"));
}

TEST_F(WildcardLists, YamlAndJsonAreNamedWhereANameIsMissing) {
  write("clothes.txt", "hat\n");
  write("more/list.yaml", "shoes:\n- boot\n");
  EXPECT_THAT(refusal("shoes"), HasSubstr("more/list.yaml"));
  EXPECT_THAT(refusal("shoes"), HasSubstr("YAML"));
}

}  // namespace
}  // namespace fourstep
