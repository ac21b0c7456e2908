#pragma once
// Self-attention guidance: away from an estimate for which what attention looks at was blurred. Two
// network calls a step. Source: Hong et al. 2022 (2210.00939), algorithm 1, with uncond's own
// attention as in ComfyUI.

#include "guidance/method.h"

namespace fourstep {

struct SagOptions {
  double scale = 0;
  double sigma = 2;
  double threshold = 1;

  bool operator==(const SagOptions&) const = default;
  bool is_on() const { return scale != 0; }
  static MethodFacts facts() { return {.name = "sag", .need = StageNeed::kUncond}; }
  void check_network(const UNetConfig& config) const {
    check_layers("--sag-scale", {"mid"}, config);
  }
  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun& run) const;
};

void visit_options(OptionsOf<SagOptions> auto& o, auto&& visit) {
  using Info = FieldInfo;
  visit(Info{"sag_scale", "self-attention guidance; 0.5; 0: off; two network calls a step", "", -2,
             5},
        o.scale);
  visit(Info{"sag_sigma", "its blur", "latents", 0.01, 10}, o.sigma);
  visit(Info{"sag_threshold", "attention from which it blurs", "", 0, 100}, o.threshold);
}

/// Which positions of an attention map's grid are attended to more than `threshold` times a uniform
/// share.
/// attention: [B,heads,L,L], rows sum to 1. Returns bool [B,L].
/// Source: Hong et al. 2022 (2210.00939), eq. 14.
Tensor attended_positions(const Tensor& attention, double threshold);

/// denoised, blurred (9x9 Gaussian of `sigma` latent cells) inside the mask. denoised: [B,4,h,w];
/// mask: bool [B,height,width] on the attention's coarser grid.
Tensor blur_attended(const Tensor& denoised, const Tensor& mask, double sigma);

}  // namespace fourstep
