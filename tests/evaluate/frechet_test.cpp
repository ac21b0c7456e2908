#include "evaluate/frechet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;

Tensor doubles(const std::vector<double>& values) { return at::tensor(values, torch::kFloat64); }

Gaussian diagonal(const std::vector<double>& mean, const std::vector<double>& variances) {
  return {doubles(mean), at::diag(doubles(variances))};
}

TEST(Frechet, OfDiagonalGaussiansIsThatOfTheirMeansAndDeviations) {
  const Gaussian a = diagonal({0, 1, 2}, {1, 4, 9}), b = diagonal({3, 1, 0}, {4, 4, 1});
  // (0-3)^2 + (2-0)^2, and (1-2)^2 + (2-2)^2 + (3-1)^2 of the standard deviations.
  EXPECT_NEAR(frechet_distance(a, b), 13 + 5, 1e-12);
  EXPECT_NEAR(frechet_distance(b, a), 13 + 5, 1e-12);
}

TEST(Frechet, OfAGaussianToItselfIsZero) {
  const Tensor x = at::arange(60, torch::kFloat64).sin().view({15, 4});
  GaussianFit fit;
  fit.add(x);
  EXPECT_NEAR(frechet_distance(fit.gaussian(), fit.gaussian()), 0, 1e-12);
}

TEST(Frechet, DoesNotChangeWhenBothAreTurned) {
  const double c = std::cos(0.7), s = std::sin(0.7);
  const Tensor turn = doubles({c, -s, s, c}).view({2, 2});
  const Gaussian a = diagonal({0, 0}, {1, 9}), b = diagonal({1, 2}, {4, 16});
  const auto turned = [&](const Gaussian& g) {
    return Gaussian{at::matmul(turn, g.mean), at::matmul(at::matmul(turn, g.covariance), turn.t())};
  };
  EXPECT_NEAR(frechet_distance(turned(a), turned(b)), 5 + 2, 1e-12);
}

TEST(Frechet, HoldsWhereThereAreFewerRowsThanNumbers) {
  // Rows on two orthogonal lines: variances 2 and 0 against 0 and 8, so the roots do not meet: 2 + 8.
  GaussianFit a, b;
  a.add(doubles({-1, 0, 1, 0}).view({2, 2}));
  b.add(doubles({0, -2, 0, 2}).view({2, 2}));
  EXPECT_NEAR(frechet_distance(a.gaussian(), b.gaussian()), 10, 1e-12);
}

TEST(Frechet, BatchesGiveTheFitOfAllRows) {
  const Tensor x = at::arange(70, torch::kFloat64).cos().view({10, 7}) + 1000;
  GaussianFit whole, parts;
  whole.add(x);
  parts.add(x.narrow(0, 0, 1).to(torch::kFloat64));
  parts.add(x.narrow(0, 1, 0));
  parts.add(x.narrow(0, 1, 6));
  parts.add(x.narrow(0, 7, 3));
  EXPECT_EQ(parts.count(), 10);
  EXPECT_LT((parts.gaussian().mean - x.mean(0)).abs().max().item<double>(), 1e-12);
  const Tensor centered = x - x.mean(0);
  const Tensor covariance = at::matmul(centered.t(), centered) / 9;
  EXPECT_LT((parts.gaussian().covariance - covariance).abs().max().item<double>(), 1e-10);
  EXPECT_LT((whole.gaussian().covariance - covariance).abs().max().item<double>(), 1e-10);
}

TEST(Frechet, RefusesWhatHasNoDistance) {
  GaussianFit fit;
  fit.add(doubles({1, 2, 3}).view({1, 3}));
  EXPECT_THAT(testing::message_of<Error>([&] { fit.gaussian(); }), HasSubstr("at least 2"));
  EXPECT_THROW(fit.add(doubles({1, 2}).view({1, 2})), Error);
  const Gaussian a = diagonal({0, 1}, {1, 1}), b = diagonal({0, NAN}, {1, 1});
  EXPECT_THAT(testing::message_of<Error>([&] { frechet_distance(a, b); }), HasSubstr("NaN"));
  EXPECT_THROW(frechet_distance(a, diagonal({0, 1, 2}, {1, 1, 1})), Error);
}

TEST(GoldenFrechet, EqualsNumpyOnTheSameRows) {
  const auto golden = testing::load_golden("frechet.json");
  if (!golden) GTEST_SKIP();
  size_t checked = 0;
  for (const auto& item : golden->at("cases")) {
    const auto width = item.at("width").get<int64_t>();
    GaussianFit a, b;
    a.add(doubles(testing::numbers(item.at("a"))).view({-1, width}));
    b.add(doubles(testing::numbers(item.at("b"))).view({-1, width}));
    const auto expected = item.at("distance").get<double>();
    // numpy's general eigenvalues of a singular product are good to the root of double's precision.
    EXPECT_NEAR(frechet_distance(a.gaussian(), b.gaussian()), expected, 1e-6 * (1 + expected));
    ++checked;
  }
  testing::report_golden("frechet.json", checked, 0);
}

}  // namespace
}  // namespace fourstep
