#include "guidance/guidance_stages.h"

#include <algorithm>

namespace fourstep {

namespace {

bool acts(const ActiveStage& active, const GuidanceCall& call) {
  const bool has_cfg = !is_neutral_scale(call.cfg_scale);
  return active.interval.contains(call.level) && (active.need != StageNeed::kCfg || has_cfg);
}

Tensor combined(const GuidanceStages& stages, const GuidanceCall& call, const CondUncond& pair) {
  if (is_neutral_scale(call.cfg_scale)) return pair.cond;
  for (const ActiveStage& active : stages.active) {
    if (active.replaces_combination && acts(active, call)) return active.stage->combine(call, pair);
  }
  return combine_cfg(pair, call.cfg_scale);
}

}  // namespace

GuidanceCall GuidanceStages::call_at(int64_t index, const Tensor& x, const Tensor& sigma,
                                     const Prompts& prompts, NetworkCalls& network) const {
  const double level = sigma[0].item<double>();  // on the CPU, see Denoiser
  const StepPosition position = position_of(sigmas, level);
  const size_t step = std::min(static_cast<size_t>(position.step), scales.size() - 1);
  const double scale = cfg_interval.contains(level) ? scales[step] : 1;
  GuidanceCall call{x, sigma, level, index, position, scale, prompts, network};
  for (const ActiveStage& one : active) {
    if (acts(one, call)) call.cfg_scale = one.stage->cfg_scale(call);
  }
  return call;
}

bool GuidanceStages::needs_uncond(const GuidanceCall& call) const {
  if (sampler_needs_uncond || !is_neutral_scale(call.cfg_scale)) return true;
  return std::any_of(active.begin(), active.end(), [&](const ActiveStage& one) {
    return one.need == StageNeed::kUncond && acts(one, call);
  });
}

void GuidanceStages::extend(const GuidanceCall& call, const CallRows& rows,
                            UNetExtras& extras) const {
  for (const ActiveStage& one : active) {
    if (acts(one, call)) one.stage->extend(call, rows, extras);
  }
}

Tensor GuidanceStages::guide(const GuidanceCall& call, CondUncond& pair) const {
  for (const ActiveStage& one : active) {
    if (acts(one, call)) one.stage->before(call, pair);
  }
  Tensor denoised = combined(*this, call, pair);
  for (const ActiveStage& one : active) {
    if (acts(one, call)) denoised = one.stage->after(call, pair, denoised);
  }
  return denoised;
}

}  // namespace fourstep
