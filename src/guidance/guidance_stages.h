#pragma once
// The stages of a run: which methods act at a call, and in which order.

#include <memory>
#include <vector>

#include "guidance/method.h"

namespace fourstep {

/// A method that is on.
struct ActiveStage {
  StageNeed need = StageNeed::kNothing;
  bool replaces_combination = false;
  SigmaInterval interval = {};
  std::unique_ptr<GuidanceStage> stage;
};

struct GuidanceStages {
  std::vector<double> sigmas;  ///< of the run: they tell the step of a noise level
  std::vector<double> scales;  ///< CFG scale of each step; the last goes on; at least one
  SigmaInterval cfg_interval = {};
  bool sampler_needs_uncond = false;
  std::vector<ActiveStage> active = {};  ///< in the order in which they act

  /// Call `index` of the run. x: [B,4,h,w]; sigma: [B], one number for all, best on the CPU.
  /// Tensors, prompts and network must outlive the result.
  GuidanceCall call_at(int64_t index, const Tensor& x, const Tensor& sigma, const Prompts& prompts,
                       NetworkCalls& network) const;

  bool needs_uncond(const GuidanceCall& call) const;

  /// What the methods add to a network call.
  void extend(const GuidanceCall& call, const CallRows& rows, UNetExtras& extras) const;

  /// The estimate after all methods. pair: the network's; uncond undefined where needs_uncond() is
  /// false. Changed to what enters the combination.
  Tensor guide(const GuidanceCall& call, CondUncond& pair) const;
};

}  // namespace fourstep
