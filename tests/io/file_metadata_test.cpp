#include "io/file_metadata.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

TEST(FileMetadata, LicencesStandInSeveralPlaces) {
  EXPECT_EQ(licence_of({{"license", "MIT"}, {"modelspec.license", "CC BY-NC 4.0"}}),
            "CC BY-NC 4.0");
  EXPECT_EQ(licence_of({{"license", "MIT"}}), "MIT");
  EXPECT_EQ(licence_of({}), "");
}

TEST(FileMetadata, AnEmptyEntryCountsAsAbsent) {
  EXPECT_EQ(first_entry({{"a", ""}, {"b", "second"}}, {"a", "b"}), "second");
  EXPECT_EQ(first_entry({{"c", "third"}}, {"a", "b"}), "");
}

}  // namespace
}  // namespace fourstep
