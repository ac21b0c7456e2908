#pragma once
// Normalized attention guidance as a method: a negative prompt at any CFG scale. The formula is in
// nets/attention.h, where the attentions are.

#include "guidance/method.h"

namespace fourstep {

struct NagOptions {
  double scale = 1, tau = 2.5, alpha = 0.5;
  double end_sigma = 0;
  std::string prompt;

  bool operator==(const NagOptions&) const = default;
  bool is_on() const { return scale > 1 && alpha > 0; }
  static MethodFacts facts() { return {.name = "nag"}; }

  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun&) const {
    struct Stage : GuidanceStage {
      NagGuidance nag;
      double end_sigma = 0;
      void extend(const GuidanceCall& call, const CallRows& rows, UNetExtras& extras) override {
        const auto& negative = call.prompts.nag;
        if (!negative || rows.num_cond == 0 || call.level < end_sigma) return;
        extras.attention_terms.push_back({rows_of_batch(negative->context, rows.num_cond), nag});
      }
    };
    auto stage = std::make_unique<Stage>();
    stage->nag = {scale, tau, alpha};
    stage->end_sigma = end_sigma;
    return stage;
  }
};

void visit_options(OptionsOf<NagOptions> auto& o, auto&& visit) {
  using Info = FieldInfo;
  visit(Info{"nag_scale",
             "normalized attention guidance: a negative prompt at any CFG scale; 3; 1: off", "", 0,
             100},
        o.scale);
  visit(Info{"nag_tau", "longest result as a multiple of the prompt's own", "", 0, 100}, o.tau);
  visit(Info{"nag_alpha", "share of its result", "", 0, 1}, o.alpha);
  visit(Info{"nag_end_sigma", "no NAG below this noise level", "sigma", 0, 1000}, o.end_sigma);
  visit(Info{.name = "nag_prompt",
             .help = "what NAG leads away from; the negative prompt when not given",
             .is_prose = true},
        o.prompt);
}

}  // namespace fourstep
