#include "cli/help_format.h"

#include <gmock/gmock.h>

#include "base/fields.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

TEST(Wrapped, BreaksBetweenWordsAndIndentsTheRest) {
  EXPECT_EQ(wrapped("a bb ccc dddd", 6, 2), "a bb\n  ccc\n  dddd");
  EXPECT_EQ(wrapped("a-very-long-word b", 6, 0), "a-very-long-word\nb");
  EXPECT_EQ(wrapped("", 10, 3), "");
}

std::string help_of(size_t width) {
  CLI::App app("About.", "program");
  app.formatter(std::make_shared<HelpFormat>(width));
  app.add_option(
         "-n,--negative-prompt,--negative",
         "what it should not show, said in so many words that one line is too short for them")
      ->type_name("");
  app.footer("Samplers:\n  euler    first order, deterministic, and more words than a narrow line");
  return app.help();
}

TEST(HelpFormat, NamesAnOptionOnceAndItsOtherNamesBehind) {
  const std::string help = help_of(160);
  EXPECT_THAT(help, HasSubstr("  -n,--negative-prompt        what it"));
  EXPECT_THAT(help, HasSubstr("; also --negative"));
}

TEST(HelpFormat, KeepsWithinTheWidth) {
  for (const size_t width : {60, 80, 120}) {
    for (const std::string& line : split_text(help_of(width), '\n')) {
      EXPECT_LE(line.size(), width) << line;
    }
  }
}

}  // namespace
}  // namespace fourstep
