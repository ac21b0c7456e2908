#include "guidance/guidance_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "guided_request.h"
#include "request/image_metadata.h"
#include "request/request.h"

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
  options.rescale_cfg = 0.7;
  options.dynthresh_mimic = 7;
  EXPECT_THAT(refusal(options), ::testing::HasSubstr("rescale_cfg and dynthresh"));
  EXPECT_THAT(refusal(options), ::testing::HasSubstr("both replace the combination"));
  EXPECT_EQ(reason_against("dynthresh", "rescale_cfg"), reason_against("rescale_cfg", "dynthresh"));
  EXPECT_EQ(reason_against("pag", "nag"), "");
}

TEST(GuidanceOptions, BrokenListsWordsAndIntervalsAreRefused) {
  const auto refused = [](auto change) {
    GuidanceOptions options;
    change(options);
    return refusal(options);
  };
  using O = GuidanceOptions;
  using ::testing::HasSubstr;
  EXPECT_THAT(refused([](O& o) { o.freeu = {1.3, 1.4}; }), HasSubstr("--freeu: 2 numbers"));
  EXPECT_THAT(refused([](O& o) { o.adm_guidance = {1.5}; }), HasSubstr("--adm-guidance"));
  EXPECT_THAT(refused([](O& o) { o.color_shift = {1, 1, 1, 1}; }), HasSubstr("--color-shift"));
  EXPECT_THAT(refused([](O& o) { o.skimmed_cfg = "double"; }), HasSubstr("did you mean dual, "));
  EXPECT_THAT(refused([](O& o) { o.skim_distance = "x"; }), HasSubstr("absolute_sum"));
  EXPECT_THAT(refused([](O& o) { o.dynthresh_cfg_curve = "x"; }), HasSubstr("Sawtooth"));
  EXPECT_THAT(refused([](O& o) { o.color_method = "x"; }), HasSubstr("did you mean Ones, "));
  EXPECT_THAT(refused([](O& o) { o.color_scaling = "x"; }), HasSubstr("did you mean Cos, "));
  for (const char* text : {"pag", "pag:0", "pag:0:1:2", "dog:0:1", "adm_guidance:0:1", ":0:1"}) {
    EXPECT_NE(refused([&](O& o) { o.guidance_intervals = text; }), "") << text;
  }
  EXPECT_THAT(refused([](O& o) { o.guidance_intervals = "pag:0.5:2"; }), HasSubstr("0 to 1"));
  EXPECT_THAT(refused([](O& o) { o.guidance_intervals = "pag:0.5:0.2"; }),
              HasSubstr("ends before"));
  EXPECT_EQ(refused([](O& o) { o.guidance_intervals = "cfg:0.1:0.8; pag:0:0.5"; }), "");
}

TEST(GuidanceOptions, IntervalsAreFoundByName) {
  GuidanceOptions options;
  options.guidance_intervals = "cfg:0.1:0.8;pag:0:0.5";
  EXPECT_EQ(interval_of(options, "pag").end, 0.5);
  EXPECT_EQ(interval_of(options, "cfg").start, 0.1);
  EXPECT_EQ(interval_of(options, "nag").end, 1);
}

TEST(GuidanceOptions, MethodsThatNeedCfgAreNamedWhereItIsOff) {
  GuidanceOptions options;
  options.apg = true;
  options.pag_scale = 3;
  options.mahiro = true;
  EXPECT_THAT(methods_without_effect(options, 1), ::testing::ElementsAre("apg", "mahiro"));
  EXPECT_THAT(methods_without_effect(options, 2), ::testing::IsEmpty());
  options.cfg_steps = {1, 1, 3};
  EXPECT_THAT(methods_without_effect(options, 1), ::testing::IsEmpty());
  EXPECT_EQ(highest_cfg_scale(options, 5), 3) << "cfg_steps replace cfg_scale";
}

TEST(GuidanceOptions, AreFlatFieldsOfTheRequestInJsonAndText) {
  Request request;
  request.guidance.nag_scale = 3;
  request.guidance.freeu = {1.3, 1.4, 0.9, 0.2};
  request.guidance.apg = true;
  const auto json = json_from_request(request);
  EXPECT_EQ(json["nag_scale"], 3);
  EXPECT_TRUE(json["cfg_steps"].is_array());
  EXPECT_EQ(request_from_json(json), request);
  const std::string line = image_metadata(request, Family::kSdxl).at("parameters");
  EXPECT_THAT(line, ::testing::HasSubstr("Nag scale: 3"));
  EXPECT_THAT(line, ::testing::HasSubstr("Apg: true"));
  EXPECT_THAT(line, ::testing::HasSubstr("Freeu: \"1.3,1.4,0.9,0.2\""));
  EXPECT_THAT(line, ::testing::Not(::testing::HasSubstr("Nag tau")));
}

}  // namespace
}  // namespace fourstep
