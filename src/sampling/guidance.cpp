#include "sampling/guidance.h"

#include <cmath>
#include <utility>

namespace fourstep {

PairDenoiser in_two_calls(Denoiser cond, Denoiser uncond) {
  return
      [cond = std::move(cond), uncond = std::move(uncond)](const Tensor& x, const Tensor& sigma) {
        Tensor without = uncond(x, sigma);
        return CondUncond{cond(x, sigma), std::move(without)};
      };
}

PairDenoiser in_one_batch(Denoiser both) {
  return [both = std::move(both)](const Tensor& x, const Tensor& sigma) {
    const auto halves = both(torch::cat({x, x}), torch::cat({sigma, sigma})).chunk(2);
    return CondUncond{halves[1], halves[0]};
  };
}

Tensor combine_cfg(const CondUncond& pair, double scale) {
  return pair.uncond + (pair.cond - pair.uncond) * scale;
}

bool is_neutral_scale(double scale) { return std::abs(scale - 1) <= 1e-9; }

Denoiser with_cfg(Denoiser cond, PairDenoiser pair, double scale) {
  if (is_neutral_scale(scale)) return cond;
  return [pair = std::move(pair), scale](const Tensor& x, const Tensor& sigma) {
    return combine_cfg(pair(x, sigma), scale);
  };
}

Denoiser with_cfg(Denoiser cond, Denoiser uncond, double scale) {
  return with_cfg(cond, in_two_calls(cond, std::move(uncond)), scale);
}

}  // namespace fourstep
