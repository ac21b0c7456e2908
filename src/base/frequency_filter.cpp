#include "base/frequency_filter.h"

#include <ATen/ops/fft_fftn.h>
#include <ATen/ops/fft_fftshift.h>
#include <ATen/ops/fft_ifftn.h>
#include <ATen/ops/fft_ifftshift.h>
#include <algorithm>

namespace fourstep {

namespace {

/// 2 * cutoff bins around the middle of `size`, cut to it.
at::indexing::Slice middle(int64_t size, int64_t cutoff) {
  return {std::max(size / 2 - cutoff, int64_t{0}), std::min(size / 2 + cutoff, size)};
}

}  // namespace

Tensor scale_frequencies(const Tensor& x, const FrequencyFactors& factors) {
  const std::vector<int64_t> space = {-2, -1};
  Tensor factor = at::full({x.size(2), x.size(3)}, factors.high, x.options());
  factor.index_put_({middle(x.size(2), factors.cutoff), middle(x.size(3), factors.cutoff)},
                    factors.low);
  const Tensor spectrum = at::fft_fftshift(at::fft_fftn(x, {}, space), space);
  return at::real(at::fft_ifftn(at::fft_ifftshift(spectrum * factor, space), {}, space));
}

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
