#pragma once
// How far the noise levels of a schedule are from those that a distilled model was trained at. A step from a
// level that it has never seen is a guess; a level that no step begins at is a jump it learned and does not make.

#include <span>

namespace fourstep {

/// |log(sigma / level)| to the nearest of `levels`: 0 at one of them, 0.7 at twice or half of it.
/// sigma and levels: above 0; levels: not empty.
double log_distance(double sigma, std::span<const double> levels);

struct GridDistance {
  double visited =
      0;  ///< mean over the levels that steps begin at: distance to the nearest trained one
  double missed =
      0;  ///< mean over the trained levels: distance to the nearest that a step begins at
};

/// sigmas: as samplers take them, at least two; the last is where the last step ends and does not count.
/// trained: not empty.
GridDistance grid_distance(std::span<const double> sigmas, std::span<const double> trained);

}  // namespace fourstep
