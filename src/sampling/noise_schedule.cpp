#include "sampling/noise_schedule.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"

namespace fourstep {

namespace {

constexpr int kTimesteps = 1000;

/// Square roots of the first and the last beta.
struct BetaRoots {
  double first = std::sqrt(0.00085), last = std::sqrt(0.012);
};

NoiseSchedule schedule_from_alphas_cumprod(std::vector<double> alphas_cumprod) {
  NoiseSchedule schedule;
  for (const double alpha_bar : alphas_cumprod) {
    schedule.sigmas.push_back(std::sqrt((1 - alpha_bar) / alpha_bar));
  }
  schedule.alphas_cumprod = std::move(alphas_cumprod);
  return schedule;
}

/// How far between entry k and k + 1 sigma lies in log sigma; outside 0..1 when it is not between
/// them.
double log_position(const NoiseSchedule& schedule, size_t k, double sigma) {
  const double low = std::log(schedule.sigmas[k]), high = std::log(schedule.sigmas[k + 1]);
  return (std::log(sigma) - low) / (high - low);
}

/// The entry k, at most the last but one, such that sigma lies between entries k and k + 1 or
/// outside.
size_t entry_below(const NoiseSchedule& schedule, double sigma) {
  if (!(sigma > 0)) {
    throw Error("timestep of a noise level: sigma is {}, expected a positive number", sigma);
  }
  const auto& table = schedule.sigmas;
  const auto above = std::upper_bound(table.begin(), table.end(), sigma) - table.begin();
  return std::clamp<int64_t>(above - 1, 0, static_cast<int64_t>(table.size()) - 2);
}

/// The entries around a timestep, clamped to the table, and how far it is from the lower one, 0..1.
struct Neighbours {
  double low, high, weight;
};
Neighbours neighbours_of(const NoiseSchedule& schedule, double timestep) {
  const auto& table = schedule.sigmas;
  const double entry = std::clamp(timestep, 0.0, table.size() - 1.0);
  const size_t k = static_cast<size_t>(entry);
  return {table[k], table[std::min(k + 1, table.size() - 1)], entry - static_cast<double>(k)};
}

}  // namespace

NoiseSchedule make_sdxl_noise_schedule() {
  const BetaRoots roots;
  std::vector<double> alphas_cumprod;
  double product = 1;
  for (int t = 0; t < kTimesteps; ++t) {
    const double root = roots.first + t * (roots.last - roots.first) / (kTimesteps - 1);
    product *= 1 - root * root;
    alphas_cumprod.push_back(product);
  }
  return schedule_from_alphas_cumprod(std::move(alphas_cumprod));
}

NoiseSchedule make_diffusers_noise_schedule() {
  const BetaRoots roots;
  const float first = static_cast<float>(roots.first), last = static_cast<float>(roots.last);
  const float stride = (last - first) / (kTimesteps - 1);
  std::vector<double> alphas_cumprod;
  double product = 1;  // torch multiplies up in double and rounds each result
  for (int t = 0; t < kTimesteps; ++t) {
    const int from_end = kTimesteps - 1 - t;  // torch's linspace counts from the nearer end
    const float root = t < kTimesteps / 2 ? first + stride * static_cast<float>(t)
                                          : last - stride * static_cast<float>(from_end);
    product *= 1 - root * root;
    alphas_cumprod.push_back(static_cast<float>(product));
  }
  NoiseSchedule schedule = schedule_from_alphas_cumprod(std::move(alphas_cumprod));
  for (size_t t = 0; t < schedule.sigmas.size(); ++t) {
    const float alpha_bar = static_cast<float>(schedule.alphas_cumprod[t]);
    schedule.sigmas[t] = std::sqrt((1 - alpha_bar) / alpha_bar);
  }
  return schedule;
}

NoiseSchedule with_zero_terminal_snr(const NoiseSchedule& schedule, double last_alpha_bar) {
  std::vector<double> alphas_cumprod = schedule.alphas_cumprod;
  const double first = std::sqrt(alphas_cumprod.front()), last = std::sqrt(alphas_cumprod.back());
  for (double& alpha_bar : alphas_cumprod) {
    const double root = (std::sqrt(alpha_bar) - last) * first / (first - last);
    alpha_bar = root * root;
  }
  alphas_cumprod.back() = last_alpha_bar;
  return schedule_from_alphas_cumprod(std::move(alphas_cumprod));
}

double nearest_timestep(const NoiseSchedule& schedule, double sigma) {
  const size_t k = entry_below(schedule, sigma);
  return log_position(schedule, k, sigma) > 0.5 ? k + 1.0 : k;
}

double interpolated_timestep(const NoiseSchedule& schedule, double sigma) {
  const size_t k = entry_below(schedule, sigma);
  return k + std::clamp(log_position(schedule, k, sigma), 0.0, 1.0);
}

double sigma_from_timestep(const NoiseSchedule& schedule, double timestep) {
  const auto [low, high, weight] = neighbours_of(schedule, timestep);
  if (weight == 0) return low;
  return std::exp((1 - weight) * std::log(low) + weight * std::log(high));
}

double linear_sigma_from_timestep(const NoiseSchedule& schedule, double timestep) {
  const auto [low, high, weight] = neighbours_of(schedule, timestep);
  return (1 - weight) * low + weight * high;
}

double sigma_from_percent(const NoiseSchedule& schedule, double percent) {
  constexpr double kBeforeTheFirstStep = 999999999.9;
  if (percent <= 0) return kBeforeTheFirstStep;
  if (percent >= 1) return 0;
  return sigma_from_timestep(schedule, (1 - percent) * 999.0);
}

}  // namespace fourstep
