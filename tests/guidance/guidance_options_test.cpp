#include "guidance/guidance_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/guidance_methods.h"

namespace fourstep {
namespace {

std::string refusal(const GuidanceOptions& options) {
  try {
    validate_guidance(options);
    return "";
  } catch (const InvalidRequest& error) {
    return error.what();
  }
}

TEST(GuidanceOptions, AllMethodsAreOffByDefaultAndEachIsSwitchedOnAlone) {
  const auto& methods = guidance_methods();
  ASSERT_EQ(testing::method_cases().size(), methods.size());
  for (size_t i = 0; i < methods.size(); ++i) {
    const testing::MethodCase& one = testing::method_cases()[i];
    EXPECT_EQ(methods[i].name, one.name);
    GuidanceOptions options;
    one.move_sides(options);
    for (const GuidanceMethod& method : methods) EXPECT_FALSE(method.is_on(options)) << one.name;
    options = {};
    one.switch_on(options);
    for (const GuidanceMethod& method : methods) {
      EXPECT_EQ(method.is_on(options), method.name == one.name) << one.name;
    }
  }
}

TEST(GuidanceOptions, TwoMethodsThatExcludeEachOtherAreNamedWithTheReason) {
  GuidanceOptions options;
  options.rescale_cfg.share = 0.7;
  options.dynthresh.mimic = 7;
  EXPECT_THAT(refusal(options), ::testing::HasSubstr("rescale_cfg and dynthresh"));
  EXPECT_THAT(refusal(options), ::testing::HasSubstr("both replace the combination"));
  EXPECT_EQ(reason_against("dynthresh", "rescale_cfg"), reason_against("rescale_cfg", "dynthresh"));
  EXPECT_EQ(reason_against("pag", "nag"), "");
}

TEST(GuidanceOptions, BrokenListsAndIntervalsAreRefused) {
  const auto refused = [](auto change) {
    GuidanceOptions options;
    change(options);
    return refusal(options);
  };
  using O = GuidanceOptions;
  using ::testing::HasSubstr;
  EXPECT_THAT(refused([](O& o) { o.freeu.factors = {1.3, 1.4}; }), HasSubstr("--freeu: 2 numbers"));
  EXPECT_THAT(refused([](O& o) { o.adm_guidance.factors = {1.5}; }), HasSubstr("--adm-guidance"));
  EXPECT_THAT(refused([](O& o) {
                o.vectorscope.color_shift = {1, 1, 1, 1};
              }),
              HasSubstr("--color-shift"));
  for (const char* text : {"pag", "pag:0", "pag:0:1:2", "dog:0:1", "adm_guidance:0:1", ":0:1"}) {
    EXPECT_NE(refused([&](O& o) { o.intervals = text; }), "") << text;
  }
  EXPECT_THAT(refused([](O& o) { o.intervals = "pag:0.5:2"; }), HasSubstr("0 to 1"));
  EXPECT_THAT(refused([](O& o) { o.intervals = "pag:0.5:0.2"; }), HasSubstr("ends before"));
  EXPECT_EQ(refused([](O& o) { o.intervals = "cfg:0.1:0.8; pag:0:0.5"; }), "");
}

/// The options with one field read from text.
GuidanceOptions read_field(std::string_view name, std::string_view text) {
  GuidanceOptions options;
  visit_guidance_fields(options, [&](const FieldInfo& field, auto& value) {
    if (field.name == name) value_from_text(field, text, value);
  });
  return options;
}

TEST(GuidanceOptions, WordsAreReadOnceAndUnknownOnesRefusedWithTheKnown) {
  EXPECT_EQ(read_field("skimmed_cfg", "dual").skimmed_cfg.mode, SkimMode::kDual);
  EXPECT_EQ(read_field("skim_distance", "root_distance").skimmed_cfg.distance, SkimDistance::kRoot);
  EXPECT_EQ(read_field("dynthresh_cfg_curve", "Cosine Up").dynthresh.cfg_curve,
            ScaleCurve::kCosineUp);
  EXPECT_EQ(read_field("color_method", "Cross").vectorscope.method, ColorMethod::kCross);
  EXPECT_EQ(read_field("color_scaling", "1 - Sin").vectorscope.scaling, ColorScaling::kOneMinusSin);
  constexpr std::pair<const char*, const char*> kFields[] = {
      {"skimmed_cfg", "timed_flip"},         {"skim_distance", "absolute_sum"},
      {"dynthresh_mimic_curve", "Sawtooth"}, {"dynthresh_cfg_curve", "Sawtooth"},
      {"color_method", "Straight Abs."},     {"color_scaling", "1 - Cos"}};
  for (const auto& [field, known] : kFields) {
    try {
      read_field(field, "x");
      FAIL() << field << ": no error";
    } catch (const InvalidRequest& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(known)) << field;
      EXPECT_THAT(error.what(), ::testing::HasSubstr(flag_name(FieldInfo{field, ""})));
    }
  }
}

TEST(GuidanceOptions, IntervalsAreFoundByName) {
  GuidanceOptions options;
  options.intervals = "cfg:0.1:0.8;pag:0:0.5";
  EXPECT_EQ(interval_of(options, "pag").end, 0.5);
  EXPECT_EQ(interval_of(options, "cfg").start, 0.1);
  EXPECT_EQ(interval_of(options, "nag").end, 1);
}

TEST(GuidanceOptions, MethodsThatNeedCfgAreNamedWhereItIsOff) {
  GuidanceOptions options;
  options.apg.on = true;
  options.pag.scale = 3;
  options.mahiro.on = true;
  EXPECT_THAT(methods_without_effect(options, 1), ::testing::ElementsAre("apg", "mahiro"));
  EXPECT_THAT(methods_without_effect(options, 2), ::testing::IsEmpty());
  options.cfg_steps = {1, 1, 3};
  EXPECT_THAT(methods_without_effect(options, 1), ::testing::IsEmpty());
  EXPECT_EQ(highest_cfg_scale(options, 5), 3) << "cfg_steps replace cfg_scale";
}

}  // namespace
}  // namespace fourstep
