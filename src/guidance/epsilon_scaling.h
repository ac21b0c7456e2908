#pragma once
// Epsilon scaling: weaker noise estimates against exposure bias.
// Source: Ning et al. 2023 (2308.15321), eq. 9; ComfyUI's Epsilon Scaling.

#include "guidance/method.h"

namespace fourstep {

/// x - (x - denoised) / factor. [B,4,h,w].
inline Tensor scale_epsilon(const Tensor& x, const Tensor& denoised, double factor) {
  return x - (x - denoised) / factor;
}

struct EpsilonScalingOptions {
  double factor = 1;

  bool operator==(const EpsilonScalingOptions&) const = default;
  bool is_on() const { return factor != 1; }
  static MethodFacts facts() { return {.name = "epsilon_scaling"}; }

  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun&) const {
    struct Stage : GuidanceStage {
      double factor = 1;
      Tensor after(const GuidanceCall& call, const CondUncond&, const Tensor& denoised) override {
        return scale_epsilon(call.x, denoised, factor);
      }
    };
    auto stage = std::make_unique<Stage>();
    stage->factor = factor;
    return stage;
  }
};

void visit_options(OptionsOf<EpsilonScalingOptions> auto& o, auto&& visit) {
  visit(FieldInfo{"epsilon_scaling", "divisor of the noise estimate; 1.005", "", 0.5, 1.5},
        o.factor);
}

}  // namespace fourstep
