#include "io/printable.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

TEST(Printable, PlainNamesAreOnlyQuoted) {
  EXPECT_EQ(printable("unet.conv_in.weight"), "\"unet.conv_in.weight\"");
}

TEST(Printable, ControlCharactersAndForeignBytesAreEscaped) {
  EXPECT_EQ(printable("a\"b\\c\n\x1b\xff"), "\"a\\\"b\\\\c\\n\\x1b\\xff\"");
}

TEST(Printable, LongTextIsCutAndItsLengthNamed) {
  EXPECT_EQ(printable("abcdef", 3), "\"abc\"... (6 bytes)");
}

}  // namespace
}  // namespace fourstep
