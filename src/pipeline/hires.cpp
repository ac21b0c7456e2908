#include "pipeline/hires.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace fourstep {

namespace {

/// The last part of a longer schedule. In diffusers' dialect `denoise` is its strength: the schedule stays, and the last
/// int(steps * strength) steps of it are made.
SamplingPlan plan_hires(const ResolvedRequest& request) {
  const HiresSettings& hires = request.hires;
  ResolvedSampling asked = request.sampling;
  if (!asked.timesteps.empty() || !asked.sigmas.empty()) {
    throw InvalidRequest(
        "--hires-scale {}: the second pass needs a schedule, and --timesteps and --sigmas replace "
        "it; leave them out",
        hires.scale);
  }
  const int64_t steps = hires.steps > 0 ? hires.steps : asked.steps;
  asked.steps = schedule_steps(steps, hires.denoise, asked.dialect);
  SamplingPlan plan = plan_sampling(asked, noise_schedule_of(asked.dialect, request.zero_snr));
  const bool is_diffusers = asked.dialect == Dialect::kDiffusers;
  const auto num_levels = static_cast<int64_t>(plan.sigmas.size());
  const int64_t share = static_cast<int64_t>(static_cast<double>(steps) * hires.denoise);
  const int64_t kept = (is_diffusers ? std::max<int64_t>(share, 1) : steps) + 1;
  plan.sigmas.erase(plan.sigmas.begin(),
                    plan.sigmas.begin() + std::max<int64_t>(num_levels - kept, 0));
  // Over a picture the noise has the strength of its level; ComfyUI makes an exception at the highest one.
  plan.noise_scale = asked.dialect == Dialect::kComfy
                         ? comfyui_noise_scale(plan.schedule, plan.sigmas[0])
                         : NoiseScale::kSigma;
  return plan;
}

}  // namespace

std::vector<PassPlan> plan_passes(const ResolvedRequest& request) {
  std::vector<PassPlan> passes = {{request, plan_sampling(request)}};
  if (request.hires.scale != 1) {
    ResolvedRequest larger = request;
    const PictureSize size = picture_size(request);
    larger.width = size.width;
    larger.height = size.height;
    passes.push_back({larger, plan_hires(request)});
  }
  return passes;
}

int64_t schedule_steps(int64_t steps, double denoise, Dialect dialect) {
  constexpr double kWhole = 0.9999, kMostOfA1111 = 0.999;
  const auto steps_for = [steps](double share) {
    return static_cast<int64_t>(static_cast<double>(steps) / share);
  };
  if (dialect == Dialect::kDiffusers) return steps;
  if (dialect == Dialect::kA1111) return steps_for(std::min(denoise, kMostOfA1111));
  return denoise > kWhole ? steps : steps_for(denoise);
}

Tensor upscale_latent(const Tensor& latent, int64_t height, int64_t width, LatentUpscale upscale) {
  const Tensor x = latent.to(torch::kFloat32);
  const Shape size{height, width};
  switch (upscale) {
    case LatentUpscale::kNearest:
      return at::upsample_nearest2d(x, size);
    case LatentUpscale::kNearestExact:
      return at::_upsample_nearest_exact2d(x, size);
    case LatentUpscale::kBilinear:
      return at::upsample_bilinear2d(x, size, /*align_corners=*/false);
    case LatentUpscale::kBilinearAntialiased:
      return at::_upsample_bilinear2d_aa(x, size, /*align_corners=*/false);
    case LatentUpscale::kBicubic:
      return at::upsample_bicubic2d(x, size, /*align_corners=*/false);
    case LatentUpscale::kBicubicAntialiased:
      return at::_upsample_bicubic2d_aa(x, size, /*align_corners=*/false);
    case LatentUpscale::kArea:
      break;
  }
  return at::adaptive_avg_pool2d(x, size);
}

}  // namespace fourstep
