#include "data/image_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::write_file;

class ImageFolderTest : public ::testing::Test {
 protected:
  /// Files are not decoded here, so that any content does.
  void add(const std::string& name, const std::string& content = "x") {
    const auto path = folder_.path() / name;
    std::filesystem::create_directories(path.parent_path());
    write_file(path, content);
  }
  ImageFolder scan() const { return scan_image_folder(folder_.path()); }

  testing::TemporaryFolder folder_;
};

TEST_F(ImageFolderTest, FindsCaptionsBesideTheImages) {
  add("b.PNG");
  add("b.txt", "a lamp, brass\n");
  add("a.jpeg");
  add("a.caption", "\xEF\xBB\xBF  old clock \r\n");
  const ImageFolder found = scan();
  ASSERT_EQ(found.images.size(), 2u);
  EXPECT_EQ(found.images[0].name, "a.jpeg");
  EXPECT_EQ(found.images[0].caption, "old clock");
  EXPECT_EQ(found.images[1].caption, "a lamp, brass");
  EXPECT_EQ(found.images[1].repeats, 1);
  EXPECT_EQ(found.images[1].group, "");
  EXPECT_THAT(found.notices, IsEmpty());
}

TEST_F(ImageFolderTest, PrefersTxtToCaption) {
  add("a.webp");
  add("a.caption", "second");
  add("a.txt", "first");
  EXPECT_EQ(scan().images[0].caption, "first");
}

TEST_F(ImageFolderTest, TakesRepeatsAndTheMissingCaptionFromTheNameOfAFolder) {
  add("10_old lamp/x.png");
  add("10_old lamp/y.png");
  add("10_old lamp/y.txt", "a lamp at night");
  add("more/z.png");
  add("more/z.txt", "z");
  const ImageFolder found = scan();
  ASSERT_EQ(found.images.size(), 3u);
  EXPECT_EQ(found.images[0].name, "10_old lamp/x.png");
  EXPECT_EQ(found.images[0].group, "10_old lamp");
  EXPECT_EQ(found.images[0].caption, "old lamp");
  EXPECT_EQ(found.images[0].repeats, 10);
  EXPECT_EQ(found.images[1].caption, "a lamp at night");
  EXPECT_EQ(found.images[2].repeats, 1);
  EXPECT_THAT(found.notices,
              ElementsAre("1 images have no caption and get the name of their folder: "
                          "10_old lamp/x.png"));
}

TEST_F(ImageFolderTest, TellsWhatIsMissingOrLeftOut) {
  for (const char* name : {"a.png", "b.png", "c.png", "d.png", "e.png"}) add(name);
  add("e.txt", "first line\n\nsecond line");
  add("lonely.txt", "nothing beside me");
  add("moving.gif");
  add("0_off/x.png");
  const ImageFolder found = scan();
  EXPECT_EQ(found.images.size(), 5u);
  EXPECT_EQ(found.images[4].caption, "first line");
  EXPECT_THAT(
      found.notices,
      ElementsAre("4 images have no caption and get the empty one: a.png, b.png, c.png and 1 more",
                  "1 captions have no image and are left out: lonely.txt",
                  "1 captions have several lines, of which the first is used: e.png",
                  "1 images are of formats that are not read and are left out: moving.gif",
                  "1 folders ask for 0 repeats and are left out: 0_off"));
}

TEST_F(ImageFolderTest, LooksNeitherIntoHiddenFoldersNorDeeperThanOne) {
  add("a.png");
  add("a.txt", "a");
  add(".cache/b.png");
  add("5_x/deeper/c.png");
  EXPECT_EQ(scan().images.size(), 1u);
}

TEST_F(ImageFolderTest, ReadsOnlyTheBeginningOfAnEndlessCaption) {
  add("a.png");
  add("a.txt", std::string(1 << 20, 'x'));
  EXPECT_EQ(scan().images[0].caption.size(), size_t{64} * 1024);
}

TEST_F(ImageFolderTest, RefusesFoldersWithoutImages) {
  EXPECT_THAT(testing::message_of<Error>([&] { scan(); }), HasSubstr("holds no images"));
  add("a.txt", "alone");
  EXPECT_THAT(testing::message_of<Error>([&] { scan(); }), HasSubstr(folder_.path().string()));
  EXPECT_THAT(testing::message_of<Error>([&] { scan_image_folder(folder_.path() / "nowhere"); }),
              HasSubstr("is no folder"));
  EXPECT_THAT(testing::message_of<Error>([&] { scan_image_folder(folder_.path() / "a.txt"); }),
              HasSubstr("is no folder"));
}

TEST(FolderRule, NeedsANumberBeforeTheUnderscore) {
  EXPECT_EQ(folder_rule_of("3_cat dog").repeats, 3);
  EXPECT_EQ(folder_rule_of("3_cat dog").caption, "cat dog");
  EXPECT_EQ(folder_rule_of("12_").caption, "");
  for (const char* name :
       {"cat", "cat_3", "_cat", "-2_cat", "3x_cat", "99999999999999999999_cat"}) {
    EXPECT_EQ(folder_rule_of(name).repeats, 1) << name;
    EXPECT_EQ(folder_rule_of(name).caption, "") << name;
  }
}

}  // namespace
}  // namespace fourstep
