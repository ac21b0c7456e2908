#pragma once
// What Fooocus does beside classifier-free guidance: sharpness and adaptive CFG. Source: its
// behaviour.

#include "guidance/method.h"

namespace fourstep {

struct SharpnessOptions {
  double sharpness = 0;

  bool operator==(const SharpnessOptions&) const = default;
  bool is_on() const { return sharpness != 0; }
  static MethodFacts facts();
  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun& run) const;
};

void visit_options(OptionsOf<SharpnessOptions> auto& o, auto&& visit) {
  visit(FieldInfo{"sharpness", "Fooocus's sharpness; 2", "", 0, 30}, o.sharpness);
}

struct AdaptiveCfgOptions {
  double limit = 0;

  bool operator==(const AdaptiveCfgOptions&) const = default;
  bool is_on() const { return limit != 0; }
  static MethodFacts facts();
  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun& run) const;
};

void visit_options(OptionsOf<AdaptiveCfgOptions> auto& o, auto&& visit) {
  visit(FieldInfo{"adaptive_cfg", "Fooocus's adaptive CFG above this scale, 7; 0: off", "", 0, 100},
        o.limit);
}

/// `values` smoothed by a 13x13 bilateral filter whose weights come from `guide`: spatial and
/// colour sigma 3, colour distance the L1 sum over channels, reflected borders. [B,C,h,w], sides of
/// at least 7.
Tensor joint_bilateral_filter(const Tensor& values, const Tensor& guide);

/// cond with smoothed noise estimates, which sharpens the picture; sharpness 2 is Fooocus's
/// default.
/// progress: 0 at the first training step's noise, 1 at none. [B,4,h,w].
Tensor sharpened_cond(const Tensor& x, const Tensor& cond, double sharpness, double progress);

/// CFG at `scale`, but above `limit` (7) that only by `progress`, and at `limit` for the rest.
/// [B,4,h,w].
Tensor combine_adaptive(const CondUncond& pair, double scale, double limit, double progress);

}  // namespace fourstep
