#include "io/infotext.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/error.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

void expect_same(const Infotext& got, const Infotext& expected) {
  EXPECT_EQ(got.prompt, expected.prompt);
  EXPECT_EQ(got.negative_prompt, expected.negative_prompt);
  EXPECT_EQ(got.fields, expected.fields);
}

/// `fields` behind a prompt, written and parsed.
Fields through_text(const Fields& fields) {
  return parse_infotext(format_infotext({"p", "", fields})).fields;
}

TEST(GoldenInfotext, EveryTextParsesToTheListedFields) {
  const auto golden = testing::load_golden("infotext.json");
  if (!golden) GTEST_SKIP() << "no infotext.json";
  size_t checked = 0;
  for (const auto& item : (*golden)["cases"]) {
    SCOPED_TRACE(item["id"].get<std::string>());
    const Infotext infotext = parse_infotext(item["text"].get<std::string>());
    EXPECT_EQ(infotext.prompt, item["prompt"].get<std::string>());
    EXPECT_EQ(infotext.negative_prompt, item["negative_prompt"].get<std::string>());
    const std::map<std::string, std::string> fields(infotext.fields.begin(), infotext.fields.end());
    EXPECT_EQ(fields, (item["fields"].get<std::map<std::string, std::string>>()));
    EXPECT_EQ(fields.size(), infotext.fields.size());
    ++checked;
  }
  testing::report_golden("infotext.json", checked, 0);
}

TEST(GoldenInfotext, EveryTextSurvivesWritingAndParsing) {
  const auto golden = testing::load_golden("infotext.json");
  if (!golden) GTEST_SKIP() << "no infotext.json";
  for (const auto& item : (*golden)["cases"]) {
    SCOPED_TRACE(item["id"].get<std::string>());
    const Infotext once = parse_infotext(item["text"].get<std::string>());
    const std::string written = format_infotext(once);
    EXPECT_EQ(format_infotext(parse_infotext(written)), written);
    const Infotext twice = parse_infotext(written);
    EXPECT_EQ(twice.prompt, once.prompt);
    EXPECT_EQ(twice.negative_prompt, once.negative_prompt);
    EXPECT_EQ(std::map(twice.fields.begin(), twice.fields.end()),
              std::map(once.fields.begin(), once.fields.end()));
  }
  testing::report_golden("infotext.json (written)", (*golden)["cases"].size(), 0);
}

TEST(Infotext, IsWrittenAsA1111WritesIt) {
  const Infotext infotext{"a cat\non a mat",
                          "dog",
                          {{"Version", "f1"},
                           {"Module 1", "vae"},
                           {"Size", "1024x768"},
                           {"Steps", "4"},
                           {"Hires prompt", "fur, detail"},
                           {"VAE", "a: b"},
                           {"Tiling", "Tiling"},
                           {"Model", ""},
                           {"Lora hashes", "x: 1, y: 2"},
                           {"Seed", "7"},
                           {"Hashes", "{\"model\": \"31e35c80fc\", \"vae\": \"63aeecb90f\"}"}}};
  EXPECT_EQ(
      format_infotext(infotext),
      "a cat\non a mat\nNegative prompt: dog\n"
      "Steps: 4, Seed: 7, Size: 1024x768, VAE: \"a: b\", Tiling, Hires prompt: \"fur, detail\", "
      "Lora hashes: \"x: 1, y: 2\", Hashes: {\"model\": \"31e35c80fc\", \"vae\": \"63aeecb90f\"}, "
      "Version: f1, Module 1: vae");
}

TEST(Infotext, AnyValueSurvivesWritingAndParsing) {
  const Fields fields{{"aa", "x, y: z"},
                      {"bb", "\"quoted\""},
                      {"cc", "\""},
                      {"dd", "line\nbreak"},
                      {"ee", " blanks "},
                      {"ff", "back\\slash, \\\""},
                      {"gg", "{\"a\": [1,2"},
                      {"hh", "[1, 2]"},
                      {"ii", "caf\xC3\xA9 \xE7\x8C\xAB, x"},
                      {"Hashes", "{\"a\":\"}\"}"},
                      {"key/with-all 1_", "tab\t, bell\a"}};
  Fields sorted = through_text(fields), expected = fields;
  std::sort(sorted.begin(), sorted.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(sorted, expected);
}

TEST(Infotext, RandomValuesSurviveWritingAndParsing) {
  const std::string alphabet = "ab,:\"\\{}[] \n\t1/";
  std::mt19937 generator(11);
  const auto random_text = [&] {
    std::string out(1 + generator() % 12, ' ');
    for (char& c : out) c = alphabet[generator() % alphabet.size()];
    return out;
  };
  for (int round = 0; round < 3000; ++round) {
    const Fields fields{{"Steps", random_text()},
                        {"first", random_text()},
                        {"Hashes", random_text()},
                        {"second", random_text()},
                        {"Version", random_text()}};
    EXPECT_EQ(through_text(fields), fields) << format_infotext({"p", "", fields});
  }
}

TEST(Infotext, LaterDuplicatesWinAtTheEarlierPlace) {
  EXPECT_EQ(parse_infotext("p\nSteps: 1, Seed: 2, Steps: 3").fields,
            (Fields{{"Steps", "3"}, {"Seed", "2"}}));
}

TEST(Infotext, ALineWithFewerThanThreePairsIsText) {
  expect_same(parse_infotext("a cat\nSteps: 1, Seed: 2"), {"a cat\nSteps: 1, Seed: 2", "", {}});
  expect_same(parse_infotext("a cat\nNegative prompt: dog\nSteps: 1"),
              {"a cat", "dog\nSteps: 1", {}});
  expect_same(parse_infotext("Steps: 1, Seed: 2, Size: 3x4"),
              {"", "", {{"Steps", "1"}, {"Seed", "2"}, {"Size", "3x4"}}});
  expect_same(parse_infotext(""), {"", "", {}});
}

TEST(Infotext, LinesAreStrippedAndMayEndInCarriageReturns) {
  expect_same(
      parse_infotext(
          "  a cat \r\nNegative prompt:  dog\r\n bird\r\nSteps: 1, Seed: 2, Size: 3x4 \r\n"),
      {"a cat", "dog\nbird", {{"Steps", "1"}, {"Seed", "2"}, {"Size", "3x4"}}});
}

TEST(Infotext, JsonIsKeptWholeAndUnclosedJsonEndsAtTheComma) {
  const Infotext infotext =
      parse_infotext("Steps: 1, Data: {\"a\": \"},{\", \"b\": [1, 2]}, Seed: 2, Open: {a, Size: 3");
  EXPECT_EQ(infotext.fields, (Fields{{"Steps", "1"},
                                     {"Data", "{\"a\": \"},{\", \"b\": [1, 2]}"},
                                     {"Seed", "2"},
                                     {"Open", "{a"},
                                     {"Size", "3"}}));
}

TEST(Infotext, FieldsAreFoundByKey) {
  const Infotext infotext{"", "", {{"Steps", "4"}}};
  ASSERT_NE(infotext.find("Steps"), nullptr);
  EXPECT_EQ(*infotext.find("Steps"), "4");
  EXPECT_EQ(infotext.find("Seed"), nullptr);
}

TEST(Infotext, KeysThatCannotBeReadBackAreErrors) {
  for (const char* key : {"", "a", "-a", " ab", "a,b", "a:b", "a\nb",
                          "\xE2\x80\x94"
                          "ab"}) {
    EXPECT_THROW(format_infotext({"p", "", {{key, "1"}}}), Error) << key;
  }
}

TEST(Infotext, AnyBytesAreParsedAndWhatIsParsedCanBeWritten) {
  const std::string alphabet = "aB1,,::\"\\{}[]\n -\xC3\xA9\xFF";
  std::mt19937 generator(13);
  for (int round = 0; round < 20000; ++round) {
    std::string text(generator() % 80, ' ');
    for (char& c : text) c = alphabet[generator() % alphabet.size()];
    EXPECT_NO_THROW(format_infotext(parse_infotext(text)));
  }
}

TEST(Infotext, HostileTextsOfMegabytesAreParsedInLinearTime) {
  // Quadratic work on any of these would take minutes.
  for (const std::string unit :
       {"aa:{,", "aa:[{", "aa:\"", "aa:", "aa:x,", "{", "\"", "a", ",", "a\n"}) {
    std::string text;
    while (text.size() < 2000000) text += unit;
    EXPECT_NO_THROW(parse_infotext(text)) << unit;
    EXPECT_NO_THROW(parse_infotext(text + std::string(1000, '}') + "x")) << unit;
  }
}

}  // namespace
}  // namespace fourstep
