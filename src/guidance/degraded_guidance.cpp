#include "guidance/degraded_guidance.h"

#include <utility>

namespace fourstep {

namespace {

struct DegradedStage : GuidanceStage {
  DegradedStage(double scale, DegradedLayers layers) : scale(scale), layers(std::move(layers)) {}

  Tensor after(const GuidanceCall& call, const CondUncond& pair, const Tensor& denoised) override {
    const Tensor degraded = call.network.degraded_cond(call, layers);
    return guide_from_degraded(denoised, pair.cond, degraded, scale);
  }

  double scale;
  DegradedLayers layers;
};

}  // namespace

Tensor guide_from_degraded(const Tensor& denoised, const Tensor& better, const Tensor& degraded,
                           double scale) {
  return denoised + (better - degraded) * scale;
}

void PagOptions::check_network(const UNetConfig& config) const {
  check_layers("--pag-layers", split_text(layers, ','), config);
}

std::unique_ptr<GuidanceStage> PagOptions::make_stage(const GuidanceRun&) const {
  const DegradedLayers degraded{Degradation::kIdentityAttention, split_text(layers, ','), 0};
  return std::make_unique<DegradedStage>(scale, degraded);
}

void SegOptions::check_network(const UNetConfig& config) const {
  check_layers("--seg-layers", split_text(layers, ','), config);
}

std::unique_ptr<GuidanceStage> SegOptions::make_stage(const GuidanceRun&) const {
  const DegradedLayers degraded{Degradation::kBlurredQuery, split_text(layers, ','), sigma};
  return std::make_unique<DegradedStage>(scale, degraded);
}

void SlgOptions::check_network(const UNetConfig& config) const {
  check_layers("--slg-layers", split_text(layers, ','), config);
}

std::unique_ptr<GuidanceStage> SlgOptions::make_stage(const GuidanceRun&) const {
  const DegradedLayers degraded{Degradation::kSkipped, split_text(layers, ','), 0};
  return std::make_unique<DegradedStage>(scale, degraded);
}

}  // namespace fourstep
