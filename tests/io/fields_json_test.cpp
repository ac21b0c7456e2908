#include "io/fields_json.h"

#include <gtest/gtest.h>
#include <fstream>

#include "support/files.h"
#include "support/golden.h"

namespace fourstep {

namespace {

using Json = nlohmann::ordered_json;
using testing::message_of;

struct Settings {
  std::string name = "fox";
  int64_t steps = 4;
  uint64_t seed = 18446744073709551615u;
  double cfg_scale = 1.5;
  bool is_quiet = true;
  std::optional<double> eta;
  std::vector<double> timesteps{999, 749.5};
};

template <typename AnySettings, typename Visitor>
void visit_fields(AnySettings& s, Visitor&& visit) requires
    std::is_same_v<std::remove_const_t<AnySettings>, Settings> {
  visit(FieldInfo{"name", "a text"}, s.name);
  visit(FieldInfo{"steps", "a number", "steps", 1, 100}, s.steps);
  visit(FieldInfo{"seed", "a large number"}, s.seed);
  visit(FieldInfo{"cfg_scale", "a number"}, s.cfg_scale);
  visit(FieldInfo{"is_quiet", "yes or no"}, s.is_quiet);
  visit(FieldInfo{"eta", "may be unset"}, s.eta);
  visit(FieldInfo{"timesteps", "a list", "", 0, 999}, s.timesteps);
}

std::string message_for(const char* text) {
  return message_of<InvalidRequest>([&] {
    Settings settings;
    read_fields(Json::parse(text), settings, "the settings");
  });
}

TEST(FieldsJson, EveryFieldIsWrittenInOrder) {
  EXPECT_EQ(
      dump_json(json_from_fields(Settings())),
      R"({"name":"fox","steps":4,"seed":18446744073709551615,"cfg_scale":1.5,"is_quiet":true,"eta":null,)"
      R"("timesteps":[999.0,749.5]})");
}

TEST(FieldsJson, WhatIsWrittenReadsBack) {
  Settings settings;
  settings.name = "h\xC3\xA9 \"x\"\n";
  settings.steps = 99;
  settings.cfg_scale = 0.1;
  settings.is_quiet = false;
  settings.eta = 0.3;
  settings.timesteps = {};
  const Json json = json_from_fields(settings);
  Settings back;
  read_fields(Json::parse(dump_json(json)), back, "the settings");
  EXPECT_EQ(json_from_fields(back), json);
  EXPECT_TRUE(back.timesteps.empty());
}

TEST(FieldsJson, AbsentAndNullFieldsKeepTheirValues) {
  Settings settings;
  settings.steps = 7;
  read_fields(Json::parse(R"({"name": "owl", "steps": null})"), settings, "the settings");
  EXPECT_EQ(settings.name, "owl");
  EXPECT_EQ(settings.steps, 7);
}

TEST(FieldsJson, NumbersMayBeTextAndListsToo) {
  Settings settings;
  read_fields(Json::parse(R"({"steps": "12", "is_quiet": "false", "timesteps": "499,249"})"),
              settings, "it");
  EXPECT_EQ(settings.steps, 12);
  EXPECT_FALSE(settings.is_quiet);
  EXPECT_EQ(settings.timesteps, (std::vector<double>{499, 249}));
}

TEST(FieldsJson, ErrorsNameTheField) {
  EXPECT_EQ(message_for(R"([1])"), "the settings is a JSON object, not array");
  EXPECT_EQ(message_for(R"({"step": 3})"),
            "\"step\" is no field of the settings; did you mean steps, seed or eta?");
  EXPECT_EQ(message_for(R"({"steps": [3]})"), "steps: JSON array is no text, number or boolean");
  EXPECT_EQ(message_for(R"({"steps": 101})"),
            "--steps: \"101\" is not a whole number from 1 to 100");
  EXPECT_NE(message_for(R"({"seed": -1})"), "");
  EXPECT_NE(message_for(R"({"cfg_scale": "much"})"), "");
  EXPECT_NE(message_for(R"({"timesteps": [1, 1000]})"), "");
  EXPECT_NE(message_for(R"({"timesteps": [1, [2]]})"), "");
}

struct Outer {
  int64_t steps = 4;
  Settings inner;
};

template <typename AnyOuter, typename Visitor>
void visit_fields(AnyOuter& o,
                  Visitor&& visit) requires std::is_same_v<std::remove_const_t<AnyOuter>, Outer> {
  visit(FieldInfo{"steps", "a number"}, o.steps);
  visit_prefixed(
      "inner", [&](auto&& visit_own) { visit_fields(o.inner, visit_own); }, visit);
}

TEST(FieldsJson, AStructWithAPrefixIsAnObjectOfItsOwn) {
  Outer outer;
  outer.inner.steps = 9;
  const Json json = json_from_fields(outer);
  EXPECT_EQ(json["steps"], 4);
  EXPECT_EQ(json["inner"]["steps"], 9);
  EXPECT_EQ(json["inner"]["name"], "fox");
  Outer back;
  read_fields(Json::parse(R"({"inner": {"steps": 9, "eta": null}})"), back, "it");
  EXPECT_EQ(json_from_fields(back), json);
  EXPECT_EQ(texts_of_fields(outer).at("inner.steps"), "9");
}

TEST(FieldsJson, ErrorsNameTheWholePath) {
  const auto message = [](const char* text) {
    return message_of<InvalidRequest>([&] {
      Outer outer;
      read_fields(Json::parse(text), outer, "it");
    });
  };
  EXPECT_EQ(message(R"({"inner": {"step": 1}})"),
            "\"inner.step\" is no field of it; did you mean steps, seed or eta?");
  EXPECT_EQ(message(R"({"inner": {"steps": 101}})"),
            "--inner-steps: \"101\" is not a whole number from 1 to 100");
  EXPECT_EQ(message(R"({"inner": {"steps": [1]}})"),
            "inner.steps: JSON array is no text, number or boolean");
  EXPECT_EQ(message(R"({"inner": 3})"), "inner: JSON number is no object");
  EXPECT_NE(message(R"({"iner": {}})"), "");
}

TEST(FieldsJson, ARefusedListChangesNothing) {
  Settings settings;
  EXPECT_THROW(read_fields(Json::parse(R"({"timesteps": [1, "x"]})"), settings, "it"),
               InvalidRequest);
  EXPECT_EQ(settings.timesteps, Settings().timesteps);
}

TEST(FieldsJson, IllFormedUtf8IsReplaced) {
  Settings settings;
  settings.name = "a\xFF";
  EXPECT_NE(dump_json(json_from_fields(settings)).find("a\xEF\xBF\xBD"), std::string::npos);
}

TEST(JsonFile, OnlyWholeObjectsAreRead) {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "a.json";
  const auto read = [&](const std::string& text) {
    std::ofstream(path) << text;
    return read_json_object(path);
  };
  EXPECT_EQ(read(R"({"a":1})")["a"], 1);
  for (const std::string text : {"", "[1]", "{\"a\":", "null", "{\"a\":1} x"})
    EXPECT_THROW(read(text), Error);
  EXPECT_THROW(read_json_object(folder.path() / "absent.json"), Error);
}

TEST(JsonFile, DeepNestingIsNoDanger) {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "a.json";
  std::ofstream(path) << "{\"a\":" << std::string(1000000, '[');
  EXPECT_THROW(read_json_object(path), Error);
}

TEST(JsonFile, AbsentAndNullValuesGiveTheFallbackAndOtherTypesAnError) {
  const auto object = nlohmann::json::parse(R"({"text":"x","nothing":null,"flag":true})");
  EXPECT_EQ(json_value<std::string>(object, "text", "", "f"), "x");
  EXPECT_EQ(json_value<int64_t>(object, "nothing", 7, "f"), 7);
  EXPECT_EQ(json_value<int64_t>(object, "absent", 7, "f"), 7);
  EXPECT_THROW(json_value<int64_t>(object, "text", 7, "f"), Error);
}

}  // namespace

}  // namespace fourstep
