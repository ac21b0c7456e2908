#pragma once
// TCFG: of uncond's noise only the part along the main common direction of both noises is kept.
// Source: Kwon et al. 2025 (2503.18137), section 4; ComfyUI's TCFG.

#include <ATen/ops/linalg_svd.h>

#include "guidance/method.h"

namespace fourstep {

/// The uncond to go on with. [B,4,h,w].
inline Tensor tcfg_uncond(const Tensor& x, const CondUncond& pair) {
  const Tensor cond = (x - pair.cond).flatten(1), uncond = (x - pair.uncond).flatten(1);
  const Tensor rows = std::get<2>(at::linalg_svd(at::stack({cond, uncond}, 1), false));
  const Tensor main = rows.select(1, 0);  // [B,n]
  return x - ((uncond * main).sum(1, true) * main).view_as(x);
}

struct TcfgOptions {
  bool on = false;

  bool operator==(const TcfgOptions&) const = default;
  bool is_on() const { return on; }
  static MethodFacts facts() { return {.name = "tcfg", .need = StageNeed::kCfg}; }

  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun&) const {
    struct Stage : GuidanceStage {
      void before(const GuidanceCall& call, CondUncond& pair) override {
        pair.uncond = tcfg_uncond(call.x, pair);
      }
    };
    return std::make_unique<Stage>();
  }
};

void visit_options(OptionsOf<TcfgOptions> auto& o, auto&& visit) {
  visit(FieldInfo{"tcfg", "keep of uncond only what lies along both estimates"}, o.on);
}

}  // namespace fourstep
