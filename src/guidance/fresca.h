#pragma once
// FreSca: the low and high frequencies of guidance are scaled apart.
// Source: Huang et al. 2025 (2504.02154), eq. 5; ComfyUI's FreSca.

#include "base/frequency_filter.h"
#include "guidance/method.h"

namespace fourstep {

/// The cond whose guidance has its frequencies scaled. [B,4,h,w].
inline Tensor fresca_cond(const CondUncond& pair, const FrequencyFactors& factors) {
  return pair.uncond + scale_frequencies(pair.cond - pair.uncond, factors);
}

struct FrescaOptions {
  double low = 1, high = 1;
  int64_t cutoff = 20;

  bool operator==(const FrescaOptions&) const = default;
  bool is_on() const { return low != 1 || high != 1; }
  static MethodFacts facts() { return {.name = "fresca", .need = StageNeed::kCfg}; }

  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun&) const {
    struct Stage : GuidanceStage {
      FrequencyFactors factors;
      void before(const GuidanceCall&, CondUncond& pair) override {
        pair.cond = fresca_cond(pair, factors);
      }
    };
    auto stage = std::make_unique<Stage>();
    stage->factors = {low, high, cutoff};
    return stage;
  }
};

void visit_options(OptionsOf<FrescaOptions> auto& o, auto&& visit) {
  using Info = FieldInfo;
  visit(Info{"fresca_low", "factor on low frequencies of guidance", "", 0, 10}, o.low);
  visit(Info{"fresca_high", "factor on high ones; 1.25", "", 0, 10}, o.high);
  visit(Info{"fresca_cutoff", "where high ones begin", "bins", 1, 10000}, o.cutoff);
}

}  // namespace fourstep
