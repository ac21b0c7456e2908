#include "guidance/diffusion_cg.h"

#include <cmath>

namespace fourstep {

namespace {

struct DiffusionCgStage : GuidanceStage {
  explicit DiffusionCgStage(const DiffusionCgOptions& options) : options(options) {}

  Tensor after(const GuidanceCall& call, const CondUncond&, const Tensor& denoised) override {
    return diffusion_cg(denoised, call.position, options);
  }

  DiffusionCgOptions options;
};

}  // namespace

MethodFacts DiffusionCgOptions::facts() { return {.name = "diffusion_cg"}; }

std::unique_ptr<GuidanceStage> DiffusionCgOptions::make_stage(const GuidanceRun&) const {
  return std::make_unique<DiffusionCgStage>(*this);
}

Tensor diffusion_cg(const Tensor& denoised, StepPosition position,
                    const DiffusionCgOptions& options) {
  constexpr double kScalingFactor = 0.13025;
  if (position.step + 1 >= position.num_steps - 1) return denoised;
  const double strength = 1 - std::sin(quarter_angle(position));
  const Tensor spread = denoised.std(at::IntArrayRef{2, 3}, true, true) / std_per_sample(denoised);
  const Tensor mean = denoised.mean(at::IntArrayRef{2, 3}, true);
  const Tensor centred = denoised - mean * spread * (strength * options.recenter);
  const Tensor range =
      centred.amax({2, 3}, /*keepdim=*/true) - centred.amin({2, 3}, /*keepdim=*/true);
  const Tensor stretch = ((kScalingFactor * range).reciprocal() - 1).clamp_min(0);
  return centred * (stretch * (options.normalization * strength) + 1);
}

}  // namespace fourstep
