#include "sampling/sigma_lists.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace fourstep {

namespace {

template <typename Function>
std::vector<double> mapped(std::vector<double> values, const Function& function) {
  for (double& value : values) value = function(value);
  return values;
}

std::vector<double> ending_at_zero(std::vector<double> sigmas) {
  sigmas.push_back(0);
  return sigmas;
}

std::vector<double> equal_angles(int n, SigmaRange range) {
  return mapped(equally_spaced(std::atan(range.max), std::atan(range.min), n),
                [](double angle) { return std::tan(angle); });
}

/// An arc tangent at 0, 1, ..., n - 1, falling from ends.max to ends.min; steepest around `pivot`.
std::vector<double> arctangent_arc(int n, double slope, double pivot, SigmaRange ends) {
  const auto height = [&](double place) { return std::atan(slope * (pivot - place)); };
  if (n == 1) return {ends.max};
  const double top = height(0), bottom = height(n - 1);
  std::vector<double> arc;
  for (int k = 0; k < n; ++k) {
    arc.push_back(ends.min + (height(k) - bottom) / (top - bottom) * (ends.max - ends.min));
  }
  return arc;
}

/// The continued fraction 1/(1 + d_1/(1 + d_2/(1 + ...))) of DLMF 8.17.22, by Lentz's method.
/// Converges fast for x below (a + 1) / (a + b + 2).
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

size_t nearest_entry(const std::vector<double>& sigmas, double sigma) {
  const auto is_nearer = [sigma](double a, double b) {
    return std::abs(a - sigma) < std::abs(b - sigma);
  };
  return static_cast<size_t>(std::min_element(sigmas.begin(), sigmas.end(), is_nearer) -
                             sigmas.begin());
}

}  // namespace

std::vector<double> equally_spaced(double first, double last, int n) {
  std::vector<double> values = {first};
  for (int k = 1; k < n; ++k) values.push_back(first + k * (last - first) / (n - 1));
  return values;
}

std::vector<double> karras_sigmas(int steps, SigmaRange range, double rho) {
  const auto roots =
      equally_spaced(std::pow(range.max, 1 / rho), std::pow(range.min, 1 / rho), steps);
  return ending_at_zero(mapped(roots, [rho](double root) { return std::pow(root, rho); }));
}

std::vector<double> polyexponential_sigmas(int steps, SigmaRange range, double rho) {
  const double low = std::log(range.min), high = std::log(range.max);
  return ending_at_zero(mapped(equally_spaced(1, 0, steps), [&](double ramp) {
    return std::exp(std::pow(ramp, rho) * (high - low) + low);
  }));
}

std::vector<double> kl_optimal_sigmas(int steps, SigmaRange range) {
  return ending_at_zero(equal_angles(steps, range));
}

std::vector<double> kl_optimal_sigmas_to_min(int steps, SigmaRange range) {
  return equal_angles(steps + 1, range);
}

std::vector<double> bong_tangent_sigmas(int steps, SigmaRange range) {
  const int places = steps + 2, middle = places * 3 / 5;
  const double slope = 0.2 * 40 / places, half = range.min + (range.max - range.min) / 2;
  auto sigmas = arctangent_arc(middle, slope, middle, {half, range.max});
  sigmas.pop_back();  // where the arcs meet
  const auto lower = arctangent_arc(places - middle, slope, 0, {range.min, half});
  sigmas.insert(sigmas.end(), lower.begin(), lower.end());
  sigmas.back() = 0;
  return sigmas;
}

std::vector<double> linear_quadratic_sigmas(int steps, double sigma_max) {
  constexpr double kThreshold = 0.025;  // share of the way that the linear half goes
  if (steps == 1) return {sigma_max, 0};
  const int linear = steps / 2;
  const double square = std::pow(steps - linear, 2), slope = kThreshold / linear;
  const double remainder = linear - kThreshold * steps;
  const double a = remainder / (linear * square), b = slope - 2 * remainder / square;
  const double c = a * linear * linear;
  std::vector<double> sigmas;
  for (int i = 0; i < steps; ++i) {
    const double done = i < linear ? slope * i : (a * i + b) * i + c;
    sigmas.push_back((1 - done) * sigma_max);
  }
  return ending_at_zero(std::move(sigmas));
}

std::vector<double> beta_sigmas(int steps, SigmaRange range, double alpha, double beta) {
  return ending_at_zero(mapped(equally_spaced(1, 0, steps), [&](double probability) {
    return range.min + beta_quantile(probability, alpha, beta) * (range.max - range.min);
  }));
}

std::vector<double> laplace_sigmas(int steps, SigmaRange range, double mu, double beta) {
  constexpr double kAwayFromZero = 1e-5;
  auto sigmas = mapped(equally_spaced(0, 1, steps), [&](double share) {
    const double side = 0.5 - share, tail = std::log(1 - 2 * std::abs(side) + kAwayFromZero);
    const double sign = side == 0 ? 0 : std::copysign(1, side);
    return std::clamp(std::exp(mu - beta * sign * tail), range.min, range.max);
  });
  sigmas.erase(std::unique(sigmas.begin(), sigmas.end()), sigmas.end());
  return sigmas;
}

std::vector<double> vp_sigmas(int steps, VpCurve curve) {
  return ending_at_zero(mapped(equally_spaced(1, curve.eps_s, steps), [&](double t) {
    return std::sqrt(std::expm1(curve.beta_d * t * t / 2 + curve.beta_min * t));
  }));
}

std::vector<double> log_interpolated(std::span<const double> sigmas, int n) {
  const double last = static_cast<double>(sigmas.size()) - 1;
  return mapped(equally_spaced(n == 1 ? last : 0, last, n), [&](double position) {
    const size_t k = std::min(static_cast<size_t>(position), sigmas.size() - 1);
    const size_t next = std::min(k + 1, sigmas.size() - 1);
    const double weight = position - static_cast<double>(k);
    return std::exp((1 - weight) * std::log(sigmas[k]) + weight * std::log(sigmas[next]));
  });
}

std::vector<double> restart_levels(std::span<const double> sigmas) {
  constexpr int kFewest = 20, kFewestForTwo = 36, kStretch = 9;
  constexpr double kTop = 2, kBottom = 0.1, kRho = 7;
  const int steps = static_cast<int>(sigmas.size()) - 1;
  if (steps < kFewest || sigmas.back() != 0) return {sigmas.begin(), sigmas.end()};
  const int times = steps >= kFewestForTwo ? 2 : 1;
  const int stretch = steps >= kFewestForTwo ? steps / 4 : kStretch;
  std::vector<double> levels =
      karras_sigmas(steps - stretch * times, {sigmas[sigmas.size() - 2], sigmas[0]}, kRho);
  const size_t bottom = nearest_entry(levels, kBottom);
  const double low = levels[bottom], high = levels[nearest_entry(levels, kTop)];
  if (!(low > 0 && high > low)) return levels;
  std::vector<double> again = karras_sigmas(stretch + 1, {low, high}, kRho);
  again.pop_back();  // its 0
  for (int i = 0; i < times; ++i) {
    levels.insert(levels.begin() + static_cast<ptrdiff_t>(bottom) + 1, again.begin(), again.end());
  }
  return levels;
}

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

namespace {

double mean_distance(std::span<const double> from, std::span<const double> to) {
  double sum = 0;
  for (const double sigma : from) sum += log_distance(sigma, to);
  return sum / static_cast<double>(from.size());
}

}  // namespace

double log_distance(double sigma, std::span<const double> levels) {
  double nearest = std::numeric_limits<double>::infinity();
  for (const double level : levels) nearest = std::min(nearest, std::abs(std::log(sigma / level)));
  return nearest;
}

GridDistance grid_distance(std::span<const double> sigmas, std::span<const double> trained) {
  const std::span<const double> starts = sigmas.first(sigmas.size() - 1);
  return {mean_distance(starts, trained), mean_distance(trained, starts)};
}

}  // namespace fourstep
