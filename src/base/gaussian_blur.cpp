#include "base/gaussian_blur.h"

#include <algorithm>

namespace fourstep {

Tensor gaussian_blur(const Tensor& x, int64_t kernel, double sigma) {
  const int64_t smaller = std::min(x.size(2), x.size(3));
  const int64_t radius = std::min(kernel / 2, smaller - 1);  // a reflected border is within the map
  const Tensor offset = at::arange(-radius, radius + 1, x.options());
  Tensor line = (offset / sigma).square().mul(-0.5).exp();
  line = line / line.sum();
  const int64_t channels = x.size(1), width = 2 * radius + 1;
  const Tensor weight = at::outer(line, line).expand({channels, 1, width, width});
  const Tensor padded = at::reflection_pad2d(x, {radius, radius, radius, radius});
  return at::conv2d(padded, weight, {}, 1, at::IntArrayRef{0, 0}, 1, channels);
}

}  // namespace fourstep
