#include "io/json_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "support/golden.h"

namespace fourstep {
namespace {

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
