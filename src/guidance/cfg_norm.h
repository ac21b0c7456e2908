#pragma once
// CFGNorm: no position's channel vector gets longer than the prompt's estimate has it. Source:
// ComfyUI's CFGNorm.

#include "guidance/method.h"

namespace fourstep {

/// Shortens each position's channel vector to at most that of `cond`, then times `strength`.
/// [B,4,h,w].
inline Tensor cfg_norm(const Tensor& cond, const Tensor& guided, double strength) {
  const auto length = [](const Tensor& t) { return t.norm(2, at::IntArrayRef{1}, true); };
  return guided * (length(cond) / (length(guided) + 1e-8)).clamp(0, 1) * strength;
}

struct CfgNormOptions {
  double strength = 0;

  bool operator==(const CfgNormOptions&) const = default;
  bool is_on() const { return strength != 0; }
  static MethodFacts facts() { return {.name = "cfg_norm", .need = StageNeed::kCfg}; }

  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun&) const {
    struct Stage : GuidanceStage {
      double strength = 0;
      Tensor after(const GuidanceCall&, const CondUncond& pair, const Tensor& denoised) override {
        return cfg_norm(pair.cond, denoised, strength);
      }
    };
    auto stage = std::make_unique<Stage>();
    stage->strength = strength;
    return stage;
  }
};

void visit_options(OptionsOf<CfgNormOptions> auto& o, auto&& visit) {
  visit(FieldInfo{"cfg_norm", "no position longer than the prompt's estimate, times this; 0: off",
                  "", 0, 100},
        o.strength);
}

}  // namespace fourstep
