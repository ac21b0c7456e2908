#include "nets/freeu.h"

#include "base/frequency_filter.h"

namespace fourstep {

namespace {

/// Per position: 1 at the sample's lowest mean over channels, `strength` at its highest. [B,1,h,w]
Tensor factor_of_mean(const Tensor& backbone, double strength) {
  const Tensor mean = backbone.mean(1, true);
  const Tensor low = mean.amin({1, 2, 3}, true), high = mean.amax({1, 2, 3}, true);
  return (mean - low) / (high - low) * (strength - 1) + 1;
}

Tensor scale_backbone(const Tensor& backbone, double strength, bool is_version_2) {
  const int64_t half = backbone.size(1) / 2;
  const Tensor first = backbone.narrow(1, 0, half);
  const Tensor scaled =
      is_version_2 ? first * factor_of_mean(backbone, strength) : first * strength;
  return at::cat({scaled, backbone.narrow(1, half, backbone.size(1) - half)}, 1);
}

/// The transform has no half-precision version.
Tensor scale_skip(const Tensor& skip, double strength) {
  const Tensor wide = skip.scalar_type() == torch::kFloat64 ? skip : skip.to(torch::kFloat32);
  return scale_frequencies(wide, {.low = strength}).to(skip.scalar_type());
}

}  // namespace

BackboneAndSkip apply_freeu(const BackboneAndSkip& input, const FreeUOptions& options,
                            int64_t model_channels) {
  const int64_t channels = input.backbone.size(1);
  const bool is_first = channels == 4 * model_channels;
  if (!is_first && channels != 2 * model_channels) return input;
  return {scale_backbone(input.backbone, is_first ? options.b1 : options.b2, options.is_version_2),
          scale_skip(input.skip, is_first ? options.s1 : options.s2)};
}

}  // namespace fourstep
