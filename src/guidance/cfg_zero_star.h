#pragma once
// CFG-Zero*: the unconditional part is scaled to fit the conditional one best.
// Source: Fan et al. 2025 (2503.18886), eq. 8; ComfyUI's CFG-Zero*.

#include "guidance/method.h"

namespace fourstep {

/// guided: what combine_cfg() gave. [B,4,h,w].
inline Tensor cfg_zero_star(const Tensor& x, const CondUncond& pair, const Tensor& guided,
                            double scale) {
  const Tensor noise = x - pair.uncond;
  const Tensor fit =
      sum_per_sample((x - pair.cond) * noise) / (sum_per_sample(noise * noise) + 1e-8);
  return guided + pair.uncond * (fit - 1) * (1 - scale);
}

struct CfgZeroStarOptions {
  bool on = false;

  bool operator==(const CfgZeroStarOptions&) const = default;
  bool is_on() const { return on; }
  static MethodFacts facts() { return {.name = "cfg_zero_star", .need = StageNeed::kCfg}; }

  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun&) const {
    struct Stage : GuidanceStage {
      Tensor after(const GuidanceCall& call, const CondUncond& pair,
                   const Tensor& denoised) override {
        return cfg_zero_star(call.x, pair, denoised, call.cfg_scale);
      }
    };
    return std::make_unique<Stage>();
  }
};

void visit_options(OptionsOf<CfgZeroStarOptions> auto& o, auto&& visit) {
  visit(FieldInfo{"cfg_zero_star", "fit uncond to the prompt's estimate first"}, o.on);
}

}  // namespace fourstep
