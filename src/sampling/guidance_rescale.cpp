#include "sampling/guidance_rescale.h"

#include <cmath>

#include "base/error.h"
#include "sampling/per_sample.h"

namespace fourstep {

namespace {

/// output = (x * x_share - denoised) * factor, with the numbers of denoised_from_output() turned round.
struct OutputOfDenoised {
  double x_share, factor;
};

OutputOfDenoised output_of_denoised(NetworkOutput output, double sigma) {
  if (output == NetworkOutput::kEps) return {1, 1 / sigma};
  if (output != NetworkOutput::kV) {
    throw Error("guidance: rescaling is defined for eps and v networks alone");
  }
  const double variance = sigma * sigma + 1;
  return {1 / variance, std::sqrt(variance) / sigma};
}

Tensor signed_root(const Tensor& x) { return x.abs().sqrt() * x.sign(); }

}  // namespace

Tensor rescale_to_cond(const Tensor& guided, const Tensor& cond, double share) {
  const Tensor ratio = std_per_sample(cond) / std_per_sample(guided);
  return guided * (ratio * share + (1 - share));
}

Tensor combine_rescaled(const Tensor& x, double sigma, const CondUncond& pair, double scale,
                        double share, NetworkOutput output) {
  const auto [x_share, factor] = output_of_denoised(output, sigma);
  const Tensor base = x * x_share;
  const CondUncond outputs{(base - pair.cond) * factor, (base - pair.uncond) * factor};
  return base - rescale_to_cond(combine_cfg(outputs, scale), outputs.cond, share) / factor;
}

Tensor cfg_zero_star(const Tensor& x, const CondUncond& pair, const Tensor& guided, double scale) {
  const Tensor noise = x - pair.uncond;
  const Tensor fit =
      sum_per_sample((x - pair.cond) * noise) / (sum_per_sample(noise * noise) + 1e-8);
  return guided + pair.uncond * (fit - 1) * (1 - scale);
}

Tensor cfg_norm(const Tensor& cond, const Tensor& guided, double strength) {
  const auto length = [](const Tensor& t) { return t.norm(2, at::IntArrayRef{1}, true); };
  return guided * (length(cond) / (length(guided) + 1e-8)).clamp(0, 1) * strength;
}

Tensor mahiro(const CondUncond& pair, const Tensor& guided, double scale) {
  const Tensor leap = pair.cond * scale;
  const Tensor similarity =
      at::cosine_similarity(signed_root(pair.uncond * scale), signed_root((leap + guided) / 2), 1)
          .mean();
  const Tensor weight = 2 * (similarity + 1);
  return (weight * guided + (4 - weight) * leap) / 4;
}

Tensor scale_epsilon(const Tensor& x, const Tensor& denoised, double factor) {
  return x - (x - denoised) / factor;
}

}  // namespace fourstep
