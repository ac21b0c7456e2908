#pragma once
// Adaptive projected guidance: the part of guidance parallel to the prompt's estimate, which
// saturates pictures, is weakened, its length bounded, and earlier steps' guidance taken off.
// Source: Sadat et al. 2024 (2410.02416), algorithm 1.

#include "guidance/method.h"

namespace fourstep {

struct ApgOptions {
  bool on = false;
  double eta = 1;        ///< weight of what is parallel to cond; 1: all, 0: none
  double threshold = 5;  ///< longest guidance (norm over C, h, w); 0: any length
  double momentum = 0;   ///< weight of earlier steps' guidance; negative: reversed

  bool operator==(const ApgOptions&) const = default;
  bool is_on() const { return on; }
  static MethodFacts facts();
  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun& run) const;
};

void visit_options(OptionsOf<ApgOptions> auto& o, auto&& visit) {
  using Info = FieldInfo;
  visit(Info{"apg", "adaptive projected guidance"}, o.on);
  visit(Info{"apg_eta", "its weight of the part parallel to the prompt's estimate", "", -10, 10},
        o.eta);
  visit(Info{"apg_threshold", "longest guidance; 0: any", "", 0, 1000}, o.threshold);
  visit(Info{"apg_momentum", "weight of earlier steps' guidance", "", -5, 1}, o.momentum);
}

/// The cond for which plain CFG at `scale` gives APG's result. running: the guidance summed over
/// earlier steps with momentum (undefined before the first), updated; unused without momentum.
/// [B,4,h,w]. Source: ComfyUI's APG.
Tensor apg_cond(const CondUncond& pair, double scale, const ApgOptions& options, Tensor& running);

}  // namespace fourstep
