#include "base/fields.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "support/files.h"

namespace fourstep {
namespace {

constexpr FieldInfo kSteps{"steps", "", "steps", 1, 100};
constexpr FieldInfo kScale{"cfg_scale", ""};

template <typename T>
std::string message_of(const FieldInfo& field, std::string_view text, T& value) {
  try {
    value_from_text(field, text, value);
  } catch (const InvalidRequest& error) {
    return error.what();
  }
  return "";
}

TEST(Fields, NumbersOutOfRangeNameTheFlagAndTheRange) {
  int64_t steps = 7;
  EXPECT_EQ(message_of(kSteps, "0", steps), "--steps: \"0\" is not a whole number from 1 to 100");
  EXPECT_EQ(message_of(kSteps, "4.5", steps),
            "--steps: \"4.5\" is not a whole number from 1 to 100");
  EXPECT_EQ(steps, 7) << "a refused text must not change the value";
}

TEST(Fields, NanInfinityAndTrailingTextAreNoNumbers) {
  double scale = 1;
  for (const char* text : {"nan", "inf", "1e999", "1x", "", " 1"}) {
    EXPECT_NE(message_of(kScale, text, scale), "") << text;
  }
  EXPECT_EQ(message_of(kScale, "-0.85", scale), "");
  EXPECT_EQ(scale, -0.85);
}

TEST(Fields, AnEmptyTextUnsetsAnOptional) {
  std::optional<int64_t> steps = 3;
  value_from_text(kSteps, "", steps);
  EXPECT_FALSE(steps.has_value());
  value_from_text(kSteps, "12", steps);
  EXPECT_EQ(text_from_value(steps), "12");
}

TEST(Fields, MinusOneUnsetsASeed) {
  std::optional<uint64_t> seed = 3;
  value_from_text(FieldInfo{"seed", ""}, "-1", seed);
  EXPECT_FALSE(seed.has_value());
  EXPECT_THROW(value_from_text(FieldInfo{"seed", ""}, "-2", seed), InvalidRequest);
  std::optional<int64_t> steps = 3;
  EXPECT_THROW(value_from_text(kSteps, "-1", steps), InvalidRequest);
}

TEST(Fields, NumbersWrittenAsElsewhereAreExplained) {
  double scale = 1;
  EXPECT_EQ(message_of(kScale, "1,5", scale),
            "--cfg-scale: \"1,5\" is not a number (write 1.5 with a point)");
  EXPECT_EQ(message_of(kScale, "50%", scale),
            "--cfg-scale: \"50%\" is not a number (write 0.5 for 50%)");
  EXPECT_EQ(message_of(kScale, "0.7x", scale),
            "--cfg-scale: \"0.7x\" is not a number (write 0.7 without x)");
  int64_t steps = 7;
  EXPECT_EQ(message_of(kSteps, "", steps),
            "--steps: a value is empty; expected a whole number from 1 to 100");
}

TEST(Fields, OtherNamesAreWordsOrLetters) {
  constexpr FieldInfo kSeed{.name = "seed", .help = "", .aliases = "s rng_seed"};
  EXPECT_EQ(field_names(kSeed), (std::vector<std::string>{"seed", "rng_seed"}));
  EXPECT_EQ(field_letters(kSeed), (std::vector<std::string>{"s"}));
  EXPECT_EQ(field_names(kScale), (std::vector<std::string>{"cfg_scale"}));
}

TEST(Fields, ListsReadBackAsWritten) {
  std::vector<double> list;
  value_from_text(kScale, "999, 749.25,0.1", list);
  EXPECT_EQ(list, (std::vector<double>{999, 749.25, 0.1}));
  EXPECT_EQ(text_from_value(list), "999,749.25,0.1");
}

TEST(Fields, UnknownWordsAreRefusedWithTheKnownOnes) {
  EXPECT_NO_THROW(check_word("--noise", "nv", {"torch", "nv"}));
  EXPECT_EQ(testing::message_of<InvalidRequest>([] {
              check_word("--noise", "x", {"torch", "nv"});
            }),
            "--noise: \"x\" is none of torch, nv");
}

enum class Fruit { kApple, kPear };

std::span<const Word<Fruit>> words_of(Fruit) {
  static constexpr Word<Fruit> kWords[] = {
      {"apple", Fruit::kApple}, {"pear", Fruit::kPear}, {"nashi", Fruit::kPear}};
  return kWords;
}

TEST(Fields, WordsOfAnEnumAreReadAndTheFirstOneIsPrinted) {
  constexpr FieldInfo kFruit{"best_fruit", ""};
  Fruit fruit = Fruit::kApple;
  value_from_text(kFruit, "nashi", fruit);
  EXPECT_EQ(fruit, Fruit::kPear);
  EXPECT_EQ(text_from_value(fruit), "pear");
  EXPECT_EQ(testing::message_of<InvalidRequest>([&] { value_from_text(kFruit, "plum", fruit); }),
            "--best-fruit: \"plum\" is none of apple, pear, nashi");
  EXPECT_EQ(fruit, Fruit::kPear);
}

TEST(Fields, AStructWithinAStructGivesItsFieldsAPrefix) {
  std::vector<std::string> flags, paths;
  int64_t steps = 0;
  const auto visit_own = [&](auto&& visit) { visit(FieldInfo{"upscale_steps", ""}, steps); };
  visit_prefixed("hires", visit_own, [&](const FieldInfo& field, int64_t&) {
    flags.push_back(flag_name(field));
    paths.push_back(field_path(field));
  });
  EXPECT_EQ(flags, (std::vector<std::string>{"--hires-upscale-steps"}));
  EXPECT_EQ(paths, (std::vector<std::string>{"hires.upscale_steps"}));
  EXPECT_EQ(field_path(kScale), "cfg_scale");
}

TEST(Fields, FlagsHaveDashes) { EXPECT_EQ(flag_name(kScale), "--cfg-scale"); }

}  // namespace
}  // namespace fourstep
