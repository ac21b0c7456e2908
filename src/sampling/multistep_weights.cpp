#include "sampling/multistep_weights.h"

#include <array>
#include <cmath>

#include "base/error.h"

namespace fourstep {

namespace {

/// Coefficients of a polynomial, the constant first.
using Polynomial = std::vector<double>;

/// The Lagrange polynomial that is 1 at nodes[j] and 0 at the others, in powers of (v - origin).
Polynomial lagrange_polynomial(std::span<const double> nodes, size_t j, double origin) {
  Polynomial product = {1};
  for (size_t k = 0; k < nodes.size(); ++k) {
    if (k == j) continue;
    const double scale = 1 / (nodes[j] - nodes[k]), constant = (origin - nodes[k]) * scale;
    Polynomial next(product.size() + 1, 0.0);
    for (size_t p = 0; p < product.size(); ++p) {
      next[p] += product[p] * constant;
      next[p + 1] += product[p] * scale;
    }
    product = next;
  }
  return product;
}

/// For each node the sum over powers p of coefficient * moments[p], in powers of (v - origin).
std::vector<double> integrate_lagrange(std::span<const double> nodes, double origin,
                                       std::span<const double> moments) {
  std::vector<double> integrals;
  for (size_t j = 0; j < nodes.size(); ++j) {
    const Polynomial polynomial = lagrange_polynomial(nodes, j, origin);
    double integral = 0;
    for (size_t p = 0; p < polynomial.size(); ++p) integral += polynomial[p] * moments[p];
    integrals.push_back(integral);
  }
  return integrals;
}

}  // namespace

std::vector<double> lagrange_integrals(std::span<const double> nodes, double from, double to) {
  std::vector<double> moments;  // of (v - from)^p
  for (size_t p = 1; p <= nodes.size(); ++p) {
    moments.push_back(std::pow(to - from, p) / static_cast<double>(p));
  }
  return integrate_lagrange(nodes, from, moments);
}

std::vector<double> weighted_lagrange_integrals(std::span<const double> nodes, double from,
                                                double to, double kappa) {
  const double start = from - to, fade = std::exp(kappa * start);
  std::vector<double> moments = {-std::expm1(kappa * start) / kappa};  // of (v - to)^p
  for (size_t p = 1; p < nodes.size(); ++p) {
    const double order = static_cast<double>(p);
    moments.push_back((-std::pow(start, order) * fade - order * moments.back()) / kappa);
  }
  return integrate_lagrange(nodes, to, moments);
}

std::vector<double> log_lagrange_integrals(std::span<const double> nodes, double from, double to) {
  std::vector<double> logs;
  for (const double node : nodes) logs.push_back(std::log(node));
  // With v = log sigma, d sigma = exp(v) dv = to exp(v - log to) dv.
  std::vector<double> integrals =
      weighted_lagrange_integrals(logs, std::log(from), std::log(to), /*kappa=*/1);
  for (double& integral : integrals) integral *= to;
  return integrals;
}

std::vector<double> adams_bashforth_weights(int order) {
  switch (order) {
    case 1:
      return {1};
    case 2:
      return {3.0 / 2, -1.0 / 2};
    case 3:
      return {23.0 / 12, -16.0 / 12, 5.0 / 12};
    case 4:
      return {55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24};
    default:
      throw Error("adams_bashforth_weights: order {}, expected 1 to 4", order);
  }
}

std::vector<double> ipndm_v_weights(std::span<const double> lengths) {
  const double h = lengths[0];
  if (lengths.size() == 1) return {h};
  const double h1 = lengths[1], rho = h / h1;
  if (lengths.size() == 2) return {h * (1 + rho / 2), -h * rho / 2};
  const double h2 = lengths[2], two = h + h1, old_two = h1 + h2, rho1 = h1 / h2;
  const double t1 = (1 - h / (3 * two) * (h * two) / (h1 * old_two)) / 2;
  if (lengths.size() == 3)
    return {h * (1 + rho / 2 + t1), -h * (rho / 2 + (1 + rho1) * t1), h * t1 * rho1};
  const double h3 = lengths[3], three = two + h2, old_three = old_two + h3;
  const double e = h1 * old_two / (h2 * (h2 + h3));
  const double t2 = ((1 - h / (3 * two)) / 2 + (1 - h / (2 * two)) * h / (6 * three)) *
                    (h * two * three) / (h1 * old_two * old_three);
  return {h * (1 + rho / 2 + t1 + t2), -h * (rho / 2 + (1 + rho1) * t1 + (1 + rho1 + e) * t2),
          h * (t1 * rho1 + (rho1 + e * (1 + h2 / h3)) * t2), -h * t2 * e * rho1};
}

namespace {

/// The time of the variance-preserving process (2011.13456, eq. 33) whose sigma at 0.001 and 1 is
/// 0.002 and 80.
struct VpTime {
  double slope, start;  // beta(t) = start + slope * t

  VpTime() {
    constexpr double kFirst = 1e-3;
    const double low = std::log(0.002 * 0.002 + 1), high = std::log(80.0 * 80.0 + 1);
    slope = 2 * (low / kFirst - high) / (kFirst - 1);
    start = high - slope / 2;
  }
  double of_sigma(double sigma) const {
    return (std::sqrt(start * start + 2 * slope * std::log(1 + sigma * sigma)) - start) / slope;
  }
  /// The derivative of sigma by time.
  double sigma_rate(double t) const {
    const double log_alpha = -slope * t * t / 2 - start * t;
    return (slope * t + start) / 2 / std::sqrt(std::exp(log_alpha) * -std::expm1(log_alpha));
  }
};

double lagrange_value(std::span<const double> nodes, size_t j, double at) {
  double value = 1;
  for (size_t k = 0; k < nodes.size(); ++k) {
    if (k != j) value *= (at - nodes[k]) / (nodes[j] - nodes[k]);
  }
  return value;
}

}  // namespace

std::vector<double> deis_weights(std::span<const double> sigmas, double to) {
  constexpr int kPoints = 10000;
  const VpTime time;
  std::vector<double> nodes, weights(sigmas.size(), 0.0);
  for (const double sigma : sigmas) nodes.push_back(time.of_sigma(sigma));
  const double length = time.of_sigma(to) - nodes[0];
  for (int i = 0; i < kPoints; ++i) {
    const double t = nodes[0] + length * i / (kPoints - 1),
                 rate = time.sigma_rate(t) * length / kPoints;
    for (size_t j = 0; j < nodes.size(); ++j) weights[j] += rate * lagrange_value(nodes, j, t);
  }
  return weights;
}

double res_weight(double h, double back) {
  const double phi1 = -std::expm1(-h) / h, phi2 = (1 - phi1) / h;
  // The step is exp(-h) x + h ((phi1 - w) D + w D_last) with w = phi2 / (back / h); phi1 h = 1 -
  // exp(-h).
  const double weight = phi2 * h / back / phi1;
  return std::isfinite(weight) ? weight : 0;
}

Tensor ResHistory::next_target(const Tensor& estimate, double from, double down) {
  Tensor target = estimate;
  if (last_.defined() && down > 0) {
    const double weight = res_weight(std::log(from / down), std::log(last_down_ / last_from_));
    target = estimate * (1 - weight) + last_ * weight;
  }
  last_ = estimate;
  last_from_ = from;
  last_down_ = down;
  return target;
}

}  // namespace fourstep
