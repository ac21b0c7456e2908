#pragma once
// All guidance of one call as a row of stages: changes to the pair of estimates, their combination, changes to the
// combined estimate. A method is one small stage; one that is switched off is not in the row at all, so it cannot
// change a bit. The order is ComfyUI's: before CFG, CFG, after CFG, each in the order of its list.

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "sampling/denoiser.h"
#include "sampling/guidance.h"
#include "sampling/guidance_latent.h"

namespace fourstep {

/// Where a stage acts, both ends included.
struct SigmaInterval {
  double from = std::numeric_limits<double>::infinity(), to = 0;
  bool contains(double sigma) const { return sigma <= from && sigma >= to; }
};

/// What stages see of one call of the denoiser.
struct GuidanceCall {
  const Tensor& x;        ///< [B,4,h,w]
  const Tensor& sigma;    ///< [B], one number for all samples
  double level;           ///< that number
  StepPosition position;  ///< the step that this noise level belongs to
  double cfg_scale;       ///< of this step; 1 outside CFG's interval
};

enum class StageNeed {
  kNothing,
  kUncond,  ///< acts at any CFG scale and brings the uncond call with it
  kCfg,     ///< acts only where the CFG scale is not 1
};

template <typename Function>
struct GuidanceStage {
  std::string name;
  StageNeed need = StageNeed::kNothing;
  Function run;
  SigmaInterval interval = {};
};

using PairStage =
    GuidanceStage<std::function<CondUncond(const GuidanceCall&, const CondUncond& pair)>>;
using CombineStage =
    GuidanceStage<std::function<Tensor(const GuidanceCall&, const CondUncond& pair)>>;
/// pair.uncond is undefined where nothing needed it.
using EstimateStage = GuidanceStage<
    std::function<Tensor(const GuidanceCall&, const CondUncond& pair, const Tensor& denoised)>>;

struct GuidancePipeline {
  std::vector<double> sigmas;  ///< of the run: they tell the step of a noise level
  std::vector<double> scales;  ///< CFG scale of each step; the last goes on; at least one
  SigmaInterval cfg_interval = {};
  bool needs_uncond = false;  ///< the sampler asks for it
  std::vector<PairStage> before = {};
  std::optional<CombineStage> combine = {};  ///< else, and outside its interval, combine_cfg()
  std::vector<EstimateStage> after = {};
};

/// The step to which a call at noise level `sigma` belongs: the last whose own level is not below it.
StepPosition position_of(const std::vector<double>& sigmas, double sigma);

/// The estimate after all stages. cond: one network call. pair: its counterpart with uncond, called instead where CFG
/// or a stage needs it. last_uncond: if not null, gets the uncond estimate that entered the combination (undefined
/// without one).
Tensor guided_estimate(const GuidancePipeline& pipeline, const Denoiser& cond,
                       const PairDenoiser& pair, const Tensor& x, const Tensor& sigma,
                       Tensor* last_uncond = nullptr);

}  // namespace fourstep
