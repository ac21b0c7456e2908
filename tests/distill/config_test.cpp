#include "distill/config.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "support/files.h"

namespace fourstep {
namespace {

template <typename Change>
std::string message_after(const Change& change) {
  DistillConfig config;
  change(config);
  return testing::message_of<InvalidRequest>([&] { validate(config); });
}

TEST(DistillConfig, DefaultsAndThePublishedModesAreValid) {
  EXPECT_EQ(message_after([](DistillConfig&) {}), "");
  EXPECT_EQ(message_after([](DistillConfig& c) { c.backbone = "separate"; }), "");
  EXPECT_EQ(message_after([](DistillConfig& c) {
              c.backbone = "separate";
              c.student = "full";
            }),
            "");
  EXPECT_EQ(message_after([](DistillConfig& c) { c.timesteps = {399}; }), "");
}

TEST(DistillConfig, UnknownChoicesNameTheFlagAndTheKnownOnes) {
  EXPECT_EQ(message_after([](DistillConfig& c) { c.student = "half"; }),
            "--student: \"half\" is none of lora, full");
  EXPECT_EQ(message_after([](DistillConfig& c) { c.backbone = ""; }),
            "--backbone: \"\" is none of shared, separate");
}

TEST(DistillConfig, AFullStudentNeedsItsOwnNetwork) {
  EXPECT_EQ(
      message_after([](DistillConfig& c) { c.student = "full"; }),
      "--student full needs --backbone separate: on a shared network only adapters are trained");
}

TEST(DistillConfig, TimestepsAreWholeAndFall) {
  EXPECT_EQ(message_after([](DistillConfig& c) { c.timesteps = {}; }),
            "--timesteps: at least one is needed");
  EXPECT_EQ(message_after([](DistillConfig& c) {
              c.timesteps = {999, 499.5};
            }),
            "--timesteps 499.5: expected whole numbers");
  EXPECT_EQ(message_after([](DistillConfig& c) {
              c.timesteps = {499, 499};
            }),
            "--timesteps: 499 does not fall after 499");
  EXPECT_EQ(message_after([](DistillConfig& c) {
              c.timesteps = {249, 999};
            }),
            "--timesteps: 999 does not fall after 249");
}

TEST(DistillConfig, TheRangeOfMatchingIsNotEmpty) {
  EXPECT_EQ(message_after([](DistillConfig& c) { c.min_timestep = 981; }),
            "--min-timestep 981 is above --max-timestep 980");
  EXPECT_EQ(message_after([](DistillConfig& c) { c.min_timestep = 980; }), "");
}

}  // namespace
}  // namespace fourstep
