#pragma once
// Diffusion CG: colours centred and stretched by an operation on the estimate of x0; works at any
// CFG scale and calls no network. Source: the sd-webui-diffusion-cg extension, with SDXL's scaling
// factor 0.13025.

#include "guidance/method.h"

namespace fourstep {

struct DiffusionCgOptions {
  double recenter = 0;       ///< how much of each channel's mean is taken away
  double normalization = 0;  ///< how far each channel is stretched to the full range

  bool operator==(const DiffusionCgOptions&) const = default;
  bool is_on() const { return recenter != 0 || normalization != 0; }
  static MethodFacts facts();
  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun& run) const;
};

void visit_options(OptionsOf<DiffusionCgOptions> auto& o, auto&& visit) {
  using Info = FieldInfo;
  visit(Info{"cg_recenter", "diffusion CG: takes away the channels' means", "", 0, 1}, o.recenter);
  visit(Info{"cg_normalization", "diffusion CG: stretches channels to the full range", "", 0, 1},
        o.normalization);
}

/// Strong at the first step, fading out; the last two steps are left alone. denoised: [B,4,h,w].
Tensor diffusion_cg(const Tensor& denoised, StepPosition position,
                    const DiffusionCgOptions& options);

}  // namespace fourstep
