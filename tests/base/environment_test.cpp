#include "base/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"

namespace fourstep {
namespace {

constexpr const char* kFirst = "FOURSTEP_TEST_FIRST";
constexpr const char* kSecond = "FOURSTEP_TEST_SECOND";

class Environment : public ::testing::Test {
 protected:
  void TearDown() override {
    unsetenv(kFirst);
    unsetenv(kSecond);
  }
};

TEST_F(Environment, TheFirstVariableThatIsSetCounts) {
  EXPECT_EQ(text_from_environment({kFirst, kSecond}), "");
  EXPECT_EQ(whole_number_from_environment({kFirst, kSecond}, 0, 9), std::nullopt);
  setenv(kSecond, "7", 1);
  EXPECT_EQ(text_from_environment({kFirst, kSecond}), "7");
  EXPECT_EQ(whole_number_from_environment({kFirst, kSecond}, 0, 9), 7);
  setenv(kFirst, "3", 1);
  EXPECT_EQ(whole_number_from_environment({kFirst, kSecond}, 0, 9), 3);
}

TEST_F(Environment, WhatIsNoSuchNumberIsNamed) {
  for (const char* text : {"x", "3x", "10", "-1", "1.5", "99999999999999999999"}) {
    setenv(kFirst, text, 1);
    try {
      whole_number_from_environment({kFirst}, 0, 9);
      ADD_FAILURE() << text;
    } catch (const InvalidRequest& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr("FOURSTEP_TEST_FIRST=")) << text;
      EXPECT_THAT(error.what(), ::testing::HasSubstr("from 0 to 9")) << text;
    }
  }
}

}  // namespace
}  // namespace fourstep
