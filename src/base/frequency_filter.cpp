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

}  // namespace fourstep
