#pragma once
// NGMS: at low noise every second call goes without the negative prompt, which saves network calls
// and changes little.
// Source: A1111's "Negative Guidance minimum sigma" (its infotext says NGMS).

#include "guidance/method.h"

namespace fourstep {

struct NgmsOptions {
  double sigma = 0;

  bool operator==(const NgmsOptions&) const = default;
  bool is_on() const { return sigma != 0; }
  static MethodFacts facts() { return {.name = "ngms", .need = StageNeed::kCfg}; }

  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun&) const {
    struct Stage : GuidanceStage {
      double sigma = 0;
      double cfg_scale(const GuidanceCall& call) override {
        return call.index % 2 == 1 && call.level < sigma ? 1 : call.cfg_scale;
      }
    };
    auto stage = std::make_unique<Stage>();
    stage->sigma = sigma;
    return stage;
  }
};

void visit_options(OptionsOf<NgmsOptions> auto& o, auto&& visit) {
  visit(FieldInfo{"ngms",
                  "A1111's negative guidance minimum sigma: every second call below this noise "
                  "level is without CFG; 0: off",
                  "sigma", 0, 1000},
        o.sigma);
}

}  // namespace fourstep
