#pragma once
// Guidance away from an estimate that was made worse on purpose, at any CFG scale: PAG (self
// attention that looks at nothing else), SEG (blurred queries) and SLG (transformers left out). One
// network call a step each.

#include "guidance/method.h"

namespace fourstep {

/// denoised + scale * (better - degraded). All [B,4,h,w].
/// Source: Ahn et al. 2024 (2403.17377), eq. 13; ComfyUI's PAG and SAG.
Tensor guide_from_degraded(const Tensor& denoised, const Tensor& better, const Tensor& degraded,
                           double scale);

/// Perturbed attention guidance. Source: Ahn et al. 2024 (2403.17377).
struct PagOptions {
  double scale = 0;
  std::string layers = "mid";  ///< names of transformer_names(), separated by ','

  bool operator==(const PagOptions&) const = default;
  bool is_on() const { return scale != 0; }
  static MethodFacts facts() { return {.name = "pag"}; }
  void check_network(const UNetConfig& config) const;
  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun& run) const;
};

void visit_options(OptionsOf<PagOptions> auto& o, auto&& visit) {
  using Info = FieldInfo;
  visit(Info{"pag_scale", "perturbed attention guidance; 3; 0: off; one network call a step", "", 0,
             100},
        o.scale);
  visit(Info{"pag_layers", "where: mid, down.2.1, up.0, ...; several separated by ','"}, o.layers);
}

/// Smoothed energy guidance. Source: Hong 2024 (2408.00760).
struct SegOptions {
  double scale = 0;
  double sigma = 100;
  std::string layers = "mid";

  bool operator==(const SegOptions&) const = default;
  bool is_on() const { return scale != 0; }
  static MethodFacts facts() { return {.name = "seg"}; }
  void check_network(const UNetConfig& config) const;
  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun& run) const;
};

void visit_options(OptionsOf<SegOptions> auto& o, auto&& visit) {
  using Info = FieldInfo;
  visit(
      Info{"seg_scale", "smoothed energy guidance; 3; 0: off; one network call a step", "", 0, 100},
      o.scale);
  visit(Info{"seg_sigma", "blur of its queries; from 9999 on their mean", "positions", 0.01, 1e6},
        o.sigma);
  visit(Info{"seg_layers", "as pag_layers"}, o.layers);
}

/// Skip layer guidance. Source: the option of that name in Stability AI's SD 3.5 reference code.
struct SlgOptions {
  double scale = 0;
  std::string layers = "mid";

  bool operator==(const SlgOptions&) const = default;
  bool is_on() const { return scale != 0; }
  static MethodFacts facts() { return {.name = "slg"}; }
  void check_network(const UNetConfig& config) const;
  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun& run) const;
};

void visit_options(OptionsOf<SlgOptions> auto& o, auto&& visit) {
  using Info = FieldInfo;
  visit(Info{"slg_scale", "guidance away from skipped layers; 0: off; one network call a step", "",
             0, 100},
        o.scale);
  visit(Info{"slg_layers", "as pag_layers"}, o.layers);
}

}  // namespace fourstep
