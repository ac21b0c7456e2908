#pragma once
// Perp-Neg: guidance from the empty prompt towards the prompt, without what the negative prompt has
// in common with it.
// Source: Armandpour et al. 2023 (2304.04968), eq. 6; ComfyUI's PerpNeg.

#include "guidance/method.h"

namespace fourstep {

/// empty: the estimate for the empty prompt; pair.uncond: the negative prompt's. The common part is
/// measured over all that the tensors hold. [B,4,h,w].
inline Tensor combine_perp_neg(const CondUncond& pair, const Tensor& empty, double scale,
                               double negative_scale) {
  const Tensor positive = pair.cond - empty, negative = pair.uncond - empty;
  const Tensor common = (negative * positive).sum() / positive.square().sum();
  return empty + scale * (positive - (negative - common * positive) * negative_scale);
}

struct PerpNegOptions {
  double weight = 0;

  bool operator==(const PerpNegOptions&) const = default;
  bool is_on() const { return weight != 0; }

  static MethodFacts facts() {
    constexpr std::string_view kOtherBase =
        "Perp-Neg guides from the empty prompt, the other from the negative prompt";
    return {.name = "perp_neg",
            .need = StageNeed::kCfg,
            .replaces_combination = true,
            .excludes = {{"skimmed_cfg", kOtherBase},
                         {"tcfg", kOtherBase},
                         {"fresca", kOtherBase},
                         {"cfg_zero_star", kOtherBase},
                         {"mahiro", kOtherBase}}};
  }

  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun&) const {
    struct Stage : GuidanceStage {
      double weight = 0;
      Tensor combine(const GuidanceCall& call, const CondUncond& pair) override {
        const Tensor empty = call.network.empty(call);
        // The helper's first tensor goes along row by row: here the estimate for the empty prompt.
        return image_by_image(empty, pair, [&](const Tensor& base, const CondUncond& own) {
          return combine_perp_neg(own, base, call.cfg_scale, weight);
        });
      }
    };
    auto stage = std::make_unique<Stage>();
    stage->weight = weight;
    return stage;
  }
};

void visit_options(OptionsOf<PerpNegOptions> auto& o, auto&& visit) {
  visit(
      FieldInfo{"perp_neg", "Perp-Neg with this weight of the negative prompt; 0: off", "", 0, 100},
      o.weight);
}

}  // namespace fourstep
