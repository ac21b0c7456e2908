#include "guidance/rescale_cfg.h"

#include <cmath>

namespace fourstep {

namespace {

/// output = (x * x_share - denoised) * factor, with the numbers of denoised_from_output() turned
/// round.
struct OutputOfDenoised {
  double x_share, factor;
};

OutputOfDenoised output_of_denoised(NetworkOutput output, double sigma) {
  if (output == NetworkOutput::kEps) return {1, 1 / sigma};
  if (output != NetworkOutput::kV) {
    throw Error("guidance: rescaling is defined for eps and v networks alone");
  }
  const double variance = sigma * sigma + 1;
  return {1 / variance, std::sqrt(variance) / sigma};
}

struct RescaleStage : GuidanceStage {
  RescaleStage(double share, NetworkOutput output) : share(share), output(output) {}

  Tensor combine(const GuidanceCall& call, const CondUncond& pair) override {
    return combine_rescaled(call.x, call.level, pair, call.cfg_scale, share, output);
  }

  double share;
  NetworkOutput output;
};

}  // namespace

MethodFacts RescaleCfgOptions::facts() {
  return {.name = "rescale_cfg", .need = StageNeed::kCfg, .replaces_combination = true};
}

std::unique_ptr<GuidanceStage> RescaleCfgOptions::make_stage(const GuidanceRun& run) const {
  return std::make_unique<RescaleStage>(share, run.rescaled_output);
}

Tensor rescale_to_cond(const Tensor& guided, const Tensor& cond, double share) {
  const Tensor ratio = std_per_sample(cond) / std_per_sample(guided);
  return guided * (ratio * share + (1 - share));
}

Tensor combine_rescaled(const Tensor& x, double sigma, const CondUncond& pair, double scale,
                        double share, NetworkOutput output) {
  const auto [x_share, factor] = output_of_denoised(output, sigma);
  const Tensor base = x * x_share;
  const CondUncond outputs{(base - pair.cond) * factor, (base - pair.uncond) * factor};
  return base - rescale_to_cond(combine_cfg(outputs, scale), outputs.cond, share) / factor;
}

}  // namespace fourstep
