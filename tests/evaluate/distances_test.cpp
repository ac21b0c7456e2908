#include "evaluate/distances.h"

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
  return {doubles(mean), at::diag(doubles(variances).sqrt())};
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
    return Gaussian{at::matmul(turn, g.mean), at::matmul(g.root, turn.t())};
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

Tensor covariance_of(const GaussianFit& fit) {
  const Tensor root = fit.gaussian().root;
  return at::matmul(root.t(), root);
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
  EXPECT_LT((covariance_of(parts) - covariance).abs().max().item<double>(), 1e-10);
  EXPECT_LT((covariance_of(whole) - covariance).abs().max().item<double>(), 1e-10);
}

TEST(Frechet, FewRowsAreKeptAsTheyAre) {
  const Tensor x = at::arange(30, torch::kFloat64).cos().view({3, 10});
  GaussianFit fit;
  fit.add(x.narrow(0, 0, 2));
  fit.add(x.narrow(0, 2, 1));
  EXPECT_EQ(shape_of(fit.gaussian().root), (Shape{3, 10}));
  const Tensor centered = x - x.mean(0);
  const Tensor covariance = at::matmul(centered.t(), centered) / 2;
  EXPECT_LT((covariance_of(fit) - covariance).abs().max().item<double>(), 1e-12);
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

TEST(Diversity, IsTheMeanDistanceOfAllPairs) {
  const Tensor corners = at::tensor({0., 0., 3., 0., 0., 4.}).view({3, 2});
  EXPECT_DOUBLE_EQ(mean_pairwise_distance(corners), (3 + 4 + 5) / 3.0);
  EXPECT_DOUBLE_EQ(mean_pairwise_distance(at::ones({4, 2})), 0);
}

TEST(Diversity, ComparesOnlyPicturesOfOnePrompt) {
  // Two prompts far apart, 2 and 6 within.
  const Tensor rows = at::tensor({0., 2., 1000., 1006.}).view({4, 1});
  EXPECT_DOUBLE_EQ(diversity_of(rows, 2), 4);
}

TEST(Diversity, NeedsWholePromptsOfAtLeastTwo) {
  EXPECT_THROW(diversity_of(at::zeros({3, 1}), 2), Error);
  EXPECT_THROW(diversity_of(at::zeros({0, 1}), 2), Error);
  EXPECT_THROW(diversity_of(at::zeros({3, 1}), 1), Error);
}

}  // namespace
}  // namespace fourstep
