#include "guidance/apg.h"

namespace fourstep {

namespace {

/// The part of `a` that is parallel to `b`, sample by sample.
Tensor parallel_part(const Tensor& a, const Tensor& b) {
  const Tensor direction = b / norm_per_sample(b).clamp_min(1e-12);
  return sum_per_sample(a * direction) * direction;
}

/// Remembers earlier calls, whatever the prompts become over the steps. A new image starts above
/// the level at which the last one ended, as does ComfyUI's memory.
struct ApgStage : GuidanceStage {
  explicit ApgStage(const ApgOptions& options) : options(options) {}

  void before(const GuidanceCall& call, CondUncond& pair) override {
    if (call.level > last_level) running = Tensor();
    last_level = call.level;
    pair.cond = apg_cond(pair, call.cfg_scale, options, running);
  }

  ApgOptions options;
  Tensor running;
  double last_level = 0;
};

constexpr std::string_view kApgFolds =
    "APG puts the whole guidance into one estimate and needs the plain combination";

}  // namespace

MethodFacts ApgOptions::facts() {
  return {.name = "apg",
          .need = StageNeed::kCfg,
          .excludes = {{"rescale_cfg", kApgFolds},
                       {"dynthresh", kApgFolds},
                       {"perp_neg", kApgFolds},
                       {"adaptive_cfg", kApgFolds}}};
}

std::unique_ptr<GuidanceStage> ApgOptions::make_stage(const GuidanceRun&) const {
  return std::make_unique<ApgStage>(*this);
}

Tensor apg_cond(const CondUncond& pair, double scale, const ApgOptions& options, Tensor& running) {
  const Tensor difference = pair.cond - pair.uncond;
  Tensor guidance = difference;
  if (options.momentum != 0) {
    if (running.defined()) guidance = guidance + running * options.momentum;
    running = guidance;
  }
  if (options.threshold > 0) {
    guidance = guidance * (options.threshold / norm_per_sample(guidance)).clamp_max(1);
  }
  const Tensor parallel = parallel_part(guidance, pair.cond);
  return pair.uncond + guidance + parallel * (options.eta - 1) + difference / scale;
}

}  // namespace fourstep
