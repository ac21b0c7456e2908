#include "sampling/beta_distribution.h"

#include <cmath>
#include <numeric>

namespace fourstep {

namespace {

/// The continued fraction 1/(1 + d_1/(1 + d_2/(1 + ...))) of DLMF 8.17.22, by Lentz's method. Converges
/// fast for x below (a + 1) / (a + b + 2).
double beta_fraction(double x, double a, double b) {
  constexpr int kMaxTerms = 1000;
  constexpr double kTiny = 1e-300, kEnough = 1e-16;
  const auto away_from_zero = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double numerator = 1, denominator = 0, value = 1;
  for (int n = 1; n <= kMaxTerms; ++n) {
    const int m = n / 2;
    const double d = n % 2 == 0 ? m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
                                : -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    numerator = away_from_zero(1 + d / numerator);
    denominator = 1 / away_from_zero(1 + d * denominator);
    value *= numerator * denominator;
    if (std::abs(numerator * denominator - 1) < kEnough) break;
  }
  return 1 / value;
}

}  // namespace

double incomplete_beta(double x, double a, double b) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incomplete_beta(1 - x, b, a);
  const double log_beta = std::lgamma(a) + std::lgamma(b) - std::lgamma(a + b);
  const double front = std::exp(a * std::log(x) + b * std::log1p(-x) - log_beta) / a;
  return front * beta_fraction(x, a, b);
}

double beta_quantile(double probability, double a, double b) {
  if (probability <= 0) return 0;
  if (probability >= 1) return 1;
  if (a == 1 && b == 1) return probability;      // uniform
  if (a == b && probability == 0.5) return 0.5;  // exact, so that callers can round it
  double low = 0, high = 1;
  for (double middle = 0.5; middle > low && middle < high; middle = std::midpoint(low, high)) {
    (incomplete_beta(middle, a, b) < probability ? low : high) = middle;
  }
  return high;
}

}  // namespace fourstep
