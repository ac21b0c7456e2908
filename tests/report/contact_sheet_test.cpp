#include "report/contact_sheet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/files.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

Tensor plain(int64_t height, int64_t width, int red, int green) {
  return torch::tensor({red, green, 200}, torch::kUInt8).expand({height, width, 3}).clone();
}

/// Pictures of 60x80 px, the one at row r and column c with the colour (10 r, 10 c, 200).
SheetSpec grid_spec(int64_t num_rows, int64_t num_columns) {
  SheetSpec spec;
  spec.num_columns = num_columns;
  for (int row = 0; row < num_rows; ++row) {
    for (int column = 0; column < num_columns; ++column) {
      spec.cells.push_back({plain(60, 80, 10 * row, 10 * column)});
    }
  }
  return spec;
}

struct Box {
  int64_t x, y, width, height;
};

/// The smallest rectangle around all pixels of one picture; filled by it, as the test checks.
Box find_picture(const Tensor& sheet, int row, int column) {
  const Tensor color = torch::tensor({10 * row, 10 * column, 200}, torch::kUInt8);
  const Tensor places = sheet.eq(color).all(2).nonzero();
  if (places.size(0) == 0) return {-1, -1, 0, 0};
  const Tensor low = std::get<0>(places.min(0)), high = std::get<0>(places.max(0));
  const Box box{low[1].item<int64_t>(), low[0].item<int64_t>(),
                high[1].item<int64_t>() - low[1].item<int64_t>() + 1,
                high[0].item<int64_t>() - low[0].item<int64_t>() + 1};
  EXPECT_EQ(places.size(0), box.width * box.height);
  return box;
}

/// How many pixels of a rectangle are not of the background.
int64_t count_ink(const Tensor& sheet, const Box& box, int background = 255) {
  const Tensor part = sheet.narrow(0, box.y, box.height).narrow(1, box.x, box.width);
  return part.ne(background).any(2).sum().item<int64_t>();
}

TEST(ContactSheet, PicturesStandInAGridAndKeepEveryPixel) {
  const Tensor sheet = contact_sheet(grid_spec(2, 3)).pixels;
  ASSERT_EQ(sheet.scalar_type(), torch::kUInt8);
  const Box first = find_picture(sheet, 0, 0), second = find_picture(sheet, 0, 1),
            below = find_picture(sheet, 1, 0), last = find_picture(sheet, 1, 2);
  for (const Box& box : {first, second, below, last}) {
    EXPECT_EQ(box.width, 80);
    EXPECT_EQ(box.height, 60);
  }
  EXPECT_EQ(first.y, second.y);
  EXPECT_EQ(first.x, below.x);
  EXPECT_EQ(last.x - first.x, 2 * (second.x - first.x));
  EXPECT_GT(second.x, first.x + 80) << "a gap between them";
  EXPECT_EQ(first.x + last.x + 80, sheet.size(1)) << "the same margin at both sides";
}

TEST(ContactSheet, PlacesWithoutPictureStayEmpty) {
  SheetSpec spec = grid_spec(2, 2);
  spec.cells.pop_back();
  spec.cells[1].pixels = Tensor();
  const Tensor sheet = contact_sheet(spec).pixels;
  const Box first = find_picture(sheet, 0, 0), below = find_picture(sheet, 1, 0);
  EXPECT_EQ(count_ink(sheet, {0, 0, sheet.size(1), sheet.size(0)}), 2 * 60 * 80);
  EXPECT_EQ(below.x, first.x);
}

TEST(ContactSheet, GridsThatDoNotFitTogetherAreRefused) {
  const auto message = [](const SheetSpec& spec) {
    return testing::message_of<InvalidRequest>([&] { contact_sheet(spec); });
  };
  SheetSpec spec = grid_spec(2, 2);
  spec.cells[3].pixels = plain(61, 80, 0, 0);
  EXPECT_THAT(message(spec), HasSubstr("picture 3 is 80x61 px, those before it 80x60"));
  spec.cells[3].pixels = torch::zeros({60, 80, 3});
  EXPECT_THAT(message(spec), HasSubstr("picture 3"));
  spec = grid_spec(2, 2);
  spec.row_labels = {"one"};
  EXPECT_THAT(message(spec), HasSubstr("1 row labels for 2 rows"));
  spec = grid_spec(2, 2);
  spec.column_labels = {"1", "2", "3"};
  EXPECT_THAT(message(spec), HasSubstr("3 column labels for 2 columns"));
  EXPECT_THAT(message(SheetSpec{}), HasSubstr("no picture"));
  spec = grid_spec(1, 2);
  spec.num_columns = 0;
  EXPECT_THAT(message(spec), HasSubstr("0 columns"));
  spec.num_columns = 1000;
  EXPECT_THAT(message(spec), HasSubstr("16384"));
}

#ifdef FOURSTEP_MINIMAL

TEST(ContactSheet, BuildsWithoutFreeTypeLeaveTextOut) {
  const SheetSpec plain = grid_spec(2, 2);
  SheetSpec labelled = plain;
  labelled.title = "title";
  labelled.row_labels = {"first", "second"};
  labelled.column_labels = {"left", "right"};
  for (SheetCell& cell : labelled.cells) cell.caption = "caption";
  EXPECT_TRUE(torch::equal(contact_sheet(labelled).pixels, contact_sheet(plain).pixels));
}

#else

TEST(ContactSheet, LabelsStandAtTheirRowsAndColumnsOnly) {
  SheetSpec spec = grid_spec(2, 3);
  spec.column_labels = {"left", "", "right"};
  spec.row_labels = {"", "below"};
  const Tensor sheet = contact_sheet(spec).pixels;
  const Box first = find_picture(sheet, 0, 0), middle = find_picture(sheet, 0, 1),
            right = find_picture(sheet, 0, 2), below = find_picture(sheet, 1, 0);
  EXPECT_GT(count_ink(sheet, {first.x, 0, 80, first.y}), 20);
  EXPECT_EQ(count_ink(sheet, {middle.x, 0, 80, first.y}), 0);
  EXPECT_GT(count_ink(sheet, {right.x, 0, 80, first.y}), 20);
  EXPECT_EQ(count_ink(sheet, {0, first.y, first.x, 60}), 0);
  EXPECT_GT(count_ink(sheet, {0, below.y, below.x, 60}), 20);
  EXPECT_EQ(count_ink(sheet, {0, below.y, below.x, 18}), 0) << "at half the height of the row";
}

TEST(ContactSheet, TitleStandsAboveAll) {
  SheetSpec spec = grid_spec(1, 2);
  const Box without = find_picture(contact_sheet(spec).pixels, 0, 0);
  spec.title = "Iteration 100";
  const Tensor sheet = contact_sheet(spec).pixels;
  const Box with = find_picture(sheet, 0, 0);
  EXPECT_EQ(with.x, without.x);
  EXPECT_GT(with.y, without.y + 12);
  EXPECT_GT(count_ink(sheet, {0, 0, sheet.size(1), with.y}), 50);
}

TEST(ContactSheet, CaptionsStandBelowTheirPictureWithinItsWidth) {
  SheetSpec spec = grid_spec(2, 2);
  spec.cells[0].caption = "a caption that is much longer than two lines of a narrow picture can be";
  const Tensor sheet = contact_sheet(spec).pixels;
  const Box first = find_picture(sheet, 0, 0), right = find_picture(sheet, 0, 1),
            below = find_picture(sheet, 1, 0);
  const int64_t height = below.y - first.y - 60;
  EXPECT_GT(count_ink(sheet, {first.x, first.y + 60, 80, height}), 100);
  EXPECT_EQ(count_ink(sheet, {first.x + 81, first.y + 60, right.x + 80 - first.x - 81, height}), 0);
  EXPECT_EQ(below.y + 60 + first.x, sheet.size(0)) << "no room for captions that are not there";
  spec.max_caption_lines = 1;
  const Tensor flat = contact_sheet(spec).pixels;
  EXPECT_LT(flat.size(0), sheet.size(0));
  spec.max_caption_lines = 4;
  EXPECT_GT(contact_sheet(spec).pixels.size(0), sheet.size(0));
}

TEST(ContactSheet, DarkSheetsAreDarkWithLightText) {
  SheetSpec spec = grid_spec(1, 1);
  spec.title = "dark";
  spec.is_dark = true;
  const Tensor sheet = contact_sheet(spec).pixels;
  const Box picture = find_picture(sheet, 0, 0);
  EXPECT_LT(sheet[0][0].max().item<int64_t>(), 50);
  EXPECT_GT(sheet.narrow(0, 0, picture.y).max().item<int64_t>(), 200);
}

TEST(ContactSheet, MissingFontNamesItsPackage) {
  SheetSpec spec = grid_spec(1, 1);
  spec.font_path = "/no/such/font.ttf";
  EXPECT_NO_THROW(contact_sheet(spec)) << "no text, no font";
  spec.title = "title";
  EXPECT_THAT(testing::message_of<Error>([&] { contact_sheet(spec); }), HasSubstr("font.ttf"));
}

#endif

}  // namespace
}  // namespace fourstep
