#include "sampling/grid_distance.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fourstep {

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
