#include "workbench/merge_metadata.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fourstep {
namespace {

TEST(PartMetadata, KeysAreThoseThatOtherProgramsRead) {
  EXPECT_EQ(part_json("a/b.safetensors", "12ab", {{"license", "MIT"}}).dump(),
            R"({"name":"b.safetensors","sha256":"12ab","license":"MIT"})");
  EXPECT_EQ(part_json("b.safetensors", "", {}).dump(), R"({"name":"b.safetensors"})");
}

TEST(PartMetadata, TextsAreJoinedOnce) {
  EXPECT_EQ(joined({"b", "", "a", "b"}, "; "), "b; a");
  EXPECT_EQ(joined({}, ", "), "");
}

}  // namespace
}  // namespace fourstep
