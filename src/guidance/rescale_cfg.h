#pragma once
// Rescaled CFG: contrast and saturation burn at high scales because the result of CFG has a larger
// spread than any training picture's; a share of it is brought back to the spread of the prompt's
// estimate.
// Source: Lin et al. 2023 (2305.08891), section 3.4; diffusers' `guidance_rescale`, ComfyUI's
// RescaleCFG.

#include "guidance/method.h"

namespace fourstep {

struct RescaleCfgOptions {
  double share = 0;

  bool operator==(const RescaleCfgOptions&) const = default;
  bool is_on() const { return share != 0; }
  static MethodFacts facts();
  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun& run) const;
};

void visit_options(OptionsOf<RescaleCfgOptions> auto& o, auto&& visit) {
  visit(FieldInfo{"rescale_cfg", "share of CFG's result brought to the spread of the prompt's; 0.7",
                  "", 0, 1},
        o.share);
}

/// Of `guided`, the share `share` is brought to the spread of `cond`, sample by sample; 0 changes
/// nothing. [B,4,h,w] each: outputs of a network.
Tensor rescale_to_cond(const Tensor& guided, const Tensor& cond, double share);

/// Classifier-free guidance, then rescale_to_cond(), both on what a network of kind `output` (kEps
/// or kV) would have returned. ComfyUI's RescaleCFG takes kV whatever the network is, diffusers the
/// network's own.
Tensor combine_rescaled(const Tensor& x, double sigma, const CondUncond& pair, double scale,
                        double share, NetworkOutput output);

}  // namespace fourstep
