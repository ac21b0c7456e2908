#include "report/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <cmath>
#include <numbers>
#include <random>

#include "base/error.h"

namespace fourstep {

namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr HealthReference kTeacher{0.8, 0.1, 0.5};

/// `count` values of `function(iteration)`, measured every `stride` iterations.
template <typename Function>
HealthSeries course(int count, int stride, const Function& function) {
  HealthSeries series;
  for (int i = 0; i < count; ++i) {
    series.iteration.push_back(i * stride);
    series.value.push_back(function(i * stride));
  }
  return series;
}

/// How far a run has come, 0 at the start and 1 after some hundred iterations.
double progress(double iteration) { return 1 - std::exp(-iteration / 300); }

/// A run as it should be: from the teacher's poor few-step samples to its good ones, with the noise
/// of batches.
HealthHistory healthy(unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  const auto noisy = [&](double value, double share) {
    return value * (1 + share * normal(generator));
  };
  HealthHistory history;
  for (int channel = 0; channel < 4; ++channel) {
    history.channel_means.push_back(course(400, 5, [&](int i) {
      return 0.2 * channel + 0.1 * progress(i) + 0.06 * normal(generator);
    }));
  }
  history.relgap = course(400, 5, [&](int i) {
    return (0.002 + 0.03 * progress(i)) * std::exp(0.4 * normal(generator));
  });
  history.latent_std =
      course(40, 50, [&](int i) { return noisy(0.67 + 0.15 * progress(i), 0.02); });
  history.hf = course(40, 50, [&](int i) { return noisy(0.043 + 0.06 * progress(i), 0.04); });
  history.diversity = course(40, 50, [&](int i) { return noisy(0.25 + 0.24 * progress(i), 0.03); });
  history.d_loss = course(400, 5, [&](int i) { return noisy(1.386 - 0.35 * progress(i), 0.1); });
  history.g_adv_loss = course(400, 5, [&](int i) { return noisy(0.7 + 0.4 * progress(i), 0.2); });
  return history;
}

/// The one warning that is expected; its text.
std::string only_warning(const HealthHistory& history, HealthProblem problem) {
  const auto warnings = check_health(history, kTeacher);
  EXPECT_EQ(warnings.size(), 1U);
  if (warnings.size() != 1) return "";
  EXPECT_EQ(warnings[0].problem, problem);
  return to_string(warnings[0]);
}

TEST(Health, HealthyRunsGiveNoWarningAtAnyTime) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    const HealthHistory whole = healthy(seed);
    for (const double part : {0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0}) {
      HealthHistory history = whole;
      const auto cut = [&](HealthSeries& series) {
        const auto count = static_cast<size_t>(std::ceil(part * series.value.size()));
        series.value.resize(count);
        series.iteration.resize(count);
      };
      for (HealthSeries& series : history.channel_means) cut(series);
      for (HealthSeries* series : {&history.relgap, &history.latent_std, &history.hf,
                                   &history.diversity, &history.d_loss, &history.g_adv_loss}) {
        cut(*series);
      }
      for (const HealthWarning& warning : check_health(history, kTeacher)) {
        ADD_FAILURE() << "seed " << seed << ", part " << part << ": " << to_string(warning);
      }
    }
  }
}

TEST(Health, EmptyHistoriesAreHealthy) {
  EXPECT_THAT(check_health({}, {}), IsEmpty());
  EXPECT_THAT(check_health({}, kTeacher), IsEmpty());
}

TEST(Health, SwingingChannelIsCriticLag) {
  HealthHistory history = healthy(1);
  auto& series = history.channel_means[2];
  for (size_t i = 0; i < series.value.size(); ++i) {
    const auto iteration = static_cast<double>(series.iteration[i]);
    series.value[i] += 0.4 * std::sin(2 * std::numbers::pi * iteration / 200);
  }
  const std::string text = only_warning(history, HealthProblem::kCriticLag);
  EXPECT_THAT(text, AllOf(HasSubstr("Critic lag: The mean of channel 2 swings"),
                          HasSubstr("between iterations 500 and 1995"),
                          HasSubstr("Double the critic updates")));
  const size_t at = text.find("about ") + 6;
  EXPECT_NEAR(std::stod(text.substr(at)), 200, 20) << text;
}

TEST(Health, SmallSwingsAreHealthy) {
  HealthHistory history = healthy(1);
  auto& series = history.channel_means[2];
  for (size_t i = 0; i < series.value.size(); ++i) {
    series.value[i] += 0.1 * std::sin(static_cast<double>(i) / 6);
  }
  EXPECT_THAT(check_health(history, kTeacher), IsEmpty());
}

TEST(Health, SpikesOfRelgapAreCriticLag) {
  HealthHistory history = healthy(2);
  for (const size_t at : {150U, 210U, 300U, 390U}) history.relgap.value[at] = 0.5;
  const std::string text = only_warning(history, HealthProblem::kCriticLag);
  EXPECT_THAT(text, AllOf(HasSubstr("4 times"), HasSubstr("0.5 at 750"), HasSubstr("0.5 at 1950")));
  history = healthy(2);
  history.relgap.value[210] = 0.5;
  EXPECT_THAT(check_health(history, kTeacher), IsEmpty()) << "one spike is none";
  for (const size_t at : {55U, 60U, 70U}) history.relgap.value[at] = 0.5;
  EXPECT_THAT(check_health(history, kTeacher), IsEmpty()) << "the others are long ago";
}

TEST(Health, StdAndHighFrequenciesBeyondTheTeachersAreSaturation) {
  HealthHistory history = healthy(3);
  history.hf = course(40, 50, [](int i) { return 0.0499 + 0.00005 * i; });  // 0.1149 at 1300
  const std::string text = only_warning(history, HealthProblem::kSaturation);
  EXPECT_THAT(text, AllOf(HasSubstr("Saturation: High-frequency energy is 1.45 times"),
                          HasSubstr("+15 % since iteration 1350"), HasSubstr("guidance")));
  history.latent_std = course(40, 50, [](int i) { return 0.7 + 0.00015 * i; });
  EXPECT_THAT(only_warning(history, HealthProblem::kSaturation), HasSubstr("Latent std is 1.2"));
}

TEST(Health, FallingDiversityStdAndHighFrequenciesAreCollapse) {
  HealthHistory history = healthy(4);
  history.diversity = course(40, 50, [](int i) { return 0.5 - 0.0001 * i; });  // 0.425 at 750
  const std::string text = only_warning(history, HealthProblem::kCollapse);
  EXPECT_THAT(text, AllOf(HasSubstr("Collapse: Diversity is 0.62 times"), HasSubstr("teacher 0.5"),
                          HasSubstr("-15 % since iteration 800"), HasSubstr("fallen from 0.495")));
}

TEST(Health, LowStartIsNoCollapse) {
  HealthHistory history = healthy(5);
  history.hf = course(40, 50, [](int) { return 0.04; });
  history.diversity = course(40, 50, [](int i) { return 0.25 + 0.00001 * i; });
  EXPECT_THAT(check_health(history, kTeacher), IsEmpty());
}

TEST(Health, NoisyPlateauJustBelowTheGuardIsNoCollapse) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::mt19937 generator(seed);
    std::normal_distribution<double> normal(0.083, 0.0033);
    HealthHistory history = healthy(seed);
    history.hf = course(100, 50, [&](int) { return normal(generator); });
    EXPECT_THAT(check_health(history, kTeacher), IsEmpty()) << seed;
  }
}

TEST(Health, OneOutlierIsNoCollapse) {
  HealthHistory history = healthy(5);
  history.diversity.value.back() = 0.1;
  history.hf.value.back() = 0.9;
  EXPECT_THAT(check_health(history, kTeacher), IsEmpty());
}

TEST(Health, DiscriminatorThatWinsIsSeenInEitherLoss) {
  HealthHistory history = healthy(6);
  history.d_loss = course(400, 5, [](int i) { return 1.386 * std::exp(-i / 300.0); });
  EXPECT_THAT(
      only_warning(history, HealthProblem::kDiscriminatorWins),
      AllOf(HasSubstr("discriminator's loss"), HasSubstr("at iteration 1995"), HasSubstr("R1")));
  history = healthy(6);
  history.g_adv_loss = course(400, 5, [](int i) { return 0.7 + i / 500.0; });
  EXPECT_THAT(only_warning(history, HealthProblem::kDiscriminatorWins), HasSubstr("above 3"));
}

TEST(Health, NumbersThatAreNotFiniteComeFirst) {
  HealthHistory history = healthy(7);
  history.relgap.value[100] = std::nan("");
  history.d_loss.value[7] = HUGE_VAL;
  const std::string text = only_warning(history, HealthProblem::kNotFinite);
  EXPECT_THAT(text,
              AllOf(HasSubstr("Relgap is nan at iteration 500"), HasSubstr("inf at iteration 35")));
}

TEST(Health, WithoutReferenceOnlyWhatNeedsNoneIsChecked) {
  HealthHistory history = healthy(8);
  history.hf = course(40, 50, [](int) { return 99.0; });
  history.d_loss = course(40, 5, [](int) { return 0.01; });
  const auto warnings = check_health(history, {});
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(warnings[0].problem, HealthProblem::kDiscriminatorWins);
}

TEST(Health, SeriesThatDoNotFitTogetherAreRefused) {
  HealthHistory history;
  history.hf = {{0, 1}, {1.0}};
  EXPECT_THROW(check_health(history, kTeacher), InvalidRequest);
  history.hf = {{1, 1}, {1.0, 2.0}};
  EXPECT_THROW(check_health(history, kTeacher), InvalidRequest);
}

using ::testing::ElementsAre;
using ::testing::IsEmpty;

template <typename Function>
std::vector<double> sampled(int count, const Function& function) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i) values.push_back(function(i));
  return values;
}

double wave(double i, double period) { return std::sin(2 * std::numbers::pi * i / period); }

TEST(Swings, DeviationAndPeriodOfASineAreFound) {
  const auto swing = find_swing(sampled(300, [](int i) { return 2 + 3 * wave(i, 30) + 0.05 * i; }));
  ASSERT_TRUE(swing);
  EXPECT_NEAR(swing->deviation, 3 / std::numbers::sqrt2, 0.1);
  EXPECT_NEAR(swing->period_points, 30, 2);
}

TEST(Swings, TheyAreFoundUnderNoise) {
  std::mt19937 generator(1);
  std::normal_distribution<double> noise(0, 0.7);
  const auto swing =
      find_swing(sampled(300, [&](int i) { return wave(i, 40) + noise(generator); }));
  ASSERT_TRUE(swing);
  EXPECT_GT(swing->deviation, 0.7);
}

TEST(Swings, NoiseDriftStepsAndConstantsAreNone) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::mt19937 generator(seed);
    std::normal_distribution<double> noise(0, 1);
    EXPECT_FALSE(find_swing(sampled(300, [&](int) { return noise(generator); }))) << seed;
  }
  EXPECT_FALSE(find_swing(sampled(300, [](int i) { return 0.1 * i; })));
  EXPECT_FALSE(find_swing(sampled(300, [](int i) { return std::exp(-i / 50.0); })));
  EXPECT_FALSE(find_swing(sampled(300, [](int i) { return i < 150 ? 0.0 : 1.0; })));
  EXPECT_FALSE(find_swing(sampled(300, [](int) { return 4.0; })));
  EXPECT_FALSE(find_swing(sampled(39, [](int i) { return wave(i, 10); }))) << "too few";
  EXPECT_FALSE(find_swing({}));
}

TEST(Swings, MeansAndMediansAreThoseOfArithmetic) {
  EXPECT_EQ(median_of({3, 1, 2}), 2);
  EXPECT_EQ(median_of({5}), 5);
  EXPECT_EQ(mean_of(std::vector<double>{1, 2, 6}), 3);
}

TEST(Spikes, PeaksAreFoundAtTheirPlace) {
  auto values = sampled(200, [](int i) { return 1 + 0.2 * wave(i, 17); });
  values[80] = 9;
  values[120] = 7;
  values[121] = 11;  // one spike, its peak here
  values[122] = 8;
  EXPECT_THAT(find_spikes(values, 5), ElementsAre(80, 121));
}

TEST(Spikes, TransientsGrowthAndDecayAreNone) {
  EXPECT_THAT(find_spikes(sampled(300, [](int i) { return std::exp(-i / 5.0) + 0.1; }), 5),
              IsEmpty());
  EXPECT_THAT(find_spikes(sampled(300, [](int i) { return 1 - std::exp(-i / 20.0); }), 5),
              IsEmpty());
  EXPECT_THAT(find_spikes(sampled(30, [](int i) { return i == 20 ? 99.0 : 1.0; }), 5), IsEmpty());
  EXPECT_THAT(find_spikes({}, 5), IsEmpty());
}

}  // namespace

}  // namespace fourstep
