#pragma once
// Mahiro: leans towards scale * cond where both estimates agree. Source: ComfyUI's Mahiro.

#include "guidance/method.h"

namespace fourstep {

/// Between the guided estimate and scale * cond, by how similar their directions are (mean over all
/// that the tensors hold). [B,4,h,w].
inline Tensor mahiro(const CondUncond& pair, const Tensor& guided, double scale) {
  const auto signed_root = [](const Tensor& x) { return x.abs().sqrt() * x.sign(); };
  const Tensor leap = pair.cond * scale;
  const Tensor similarity =
      at::cosine_similarity(signed_root(pair.uncond * scale), signed_root((leap + guided) / 2), 1)
          .mean();
  const Tensor weight = 2 * (similarity + 1);
  return (weight * guided + (4 - weight) * leap) / 4;
}

struct MahiroOptions {
  bool on = false;

  bool operator==(const MahiroOptions&) const = default;
  bool is_on() const { return on; }
  static MethodFacts facts() { return {.name = "mahiro", .need = StageNeed::kCfg}; }

  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun&) const {
    struct Stage : GuidanceStage {
      Tensor after(const GuidanceCall& call, const CondUncond& pair,
                   const Tensor& denoised) override {
        return image_by_image(denoised, pair, [&](const Tensor& guided, const CondUncond& own) {
          return mahiro(own, guided, call.cfg_scale);
        });
      }
    };
    return std::make_unique<Stage>();
  }
};

void visit_options(OptionsOf<MahiroOptions> auto& o, auto&& visit) {
  visit(FieldInfo{"mahiro", "lean towards the prompt where both estimates agree"}, o.on);
}

}  // namespace fourstep
