#include "sampling/guidance_pipeline.h"

#include <algorithm>

namespace fourstep {

namespace {

double cfg_scale_at(const GuidancePipeline& pipeline, const StepPosition& position, double sigma) {
  if (!pipeline.cfg_interval.contains(sigma)) return 1;
  const auto step = static_cast<size_t>(position.step);
  return pipeline.scales[std::min(step, pipeline.scales.size() - 1)];
}

template <typename Function>
bool is_active(const GuidanceStage<Function>& stage, const GuidanceCall& call) {
  const bool has_cfg = !is_neutral_scale(call.cfg_scale);
  return stage.interval.contains(call.level) && (stage.need != StageNeed::kCfg || has_cfg);
}

bool needs_uncond(const GuidancePipeline& pipeline, const GuidanceCall& call) {
  if (pipeline.needs_uncond || !is_neutral_scale(call.cfg_scale)) return true;
  return std::any_of(pipeline.after.begin(), pipeline.after.end(), [&](const EstimateStage& stage) {
    return stage.need == StageNeed::kUncond && is_active(stage, call);
  });
}

Tensor combined(const GuidancePipeline& pipeline, const GuidanceCall& call,
                const CondUncond& estimates) {
  if (is_neutral_scale(call.cfg_scale)) return estimates.cond;
  const bool is_replaced = pipeline.combine && is_active(*pipeline.combine, call);
  return is_replaced ? pipeline.combine->run(call, estimates)
                     : combine_cfg(estimates, call.cfg_scale);
}

}  // namespace

StepPosition position_of(const std::vector<double>& sigmas, double sigma) {
  const auto num_steps = std::max(static_cast<int64_t>(sigmas.size()) - 1, int64_t{1});
  const double level = sigma * (1 - 1e-6);  // levels pass through fp32 in some callers
  const auto above =
      std::count_if(sigmas.begin(), sigmas.end(), [&](double own) { return own >= level; });
  return {std::clamp(static_cast<int64_t>(above) - 1, int64_t{0}, num_steps - 1), num_steps};
}

Tensor guided_estimate(const GuidancePipeline& pipeline, const Denoiser& cond,
                       const PairDenoiser& pair, const Tensor& x, const Tensor& sigma,
                       Tensor* last_uncond) {
  const double level = sigma[0].item<double>();  // on the CPU, see Denoiser
  const StepPosition position = position_of(pipeline.sigmas, level);
  const GuidanceCall call{x, sigma, level, position, cfg_scale_at(pipeline, position, level)};
  CondUncond estimates =
      needs_uncond(pipeline, call) ? pair(x, sigma) : CondUncond{cond(x, sigma), {}};
  for (const PairStage& stage : pipeline.before) {
    if (is_active(stage, call)) estimates = stage.run(call, estimates);
  }
  if (last_uncond) *last_uncond = estimates.uncond;
  Tensor denoised = combined(pipeline, call, estimates);
  for (const EstimateStage& stage : pipeline.after) {
    if (is_active(stage, call)) denoised = stage.run(call, estimates, denoised);
  }
  return denoised;
}

}  // namespace fourstep
