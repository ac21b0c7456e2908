#pragma once
// Size guidance: the network is told a larger picture for the prompt and a smaller one for the
// negative prompt, which makes sharper pictures. Source: Fooocus's behaviour; SDXL's size
// conditions are Podell et al. 2023 (2307.01952).

#include <algorithm>

#include "guidance/method.h"

namespace fourstep {

struct AdmGuidanceOptions {
  /// For prompt and negative prompt, and the share of the steps; empty: off.
  std::vector<double> factors;

  bool operator==(const AdmGuidanceOptions&) const = default;
  bool is_on() const {
    const size_t count = std::min<size_t>(factors.size(), 2);
    return std::any_of(factors.begin(), factors.begin() + static_cast<std::ptrdiff_t>(count),
                       [](double factor) { return factor != 1; });
  }
  void check() const { check_length("--adm-guidance", factors, "1.5,0.8,0.3"); }
  static MethodFacts facts() { return {.name = "adm_guidance", .has_interval = false}; }
  /// Nothing happens to estimates: see told_sizes().
  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun&) const {
    return std::make_unique<GuidanceStage>();
  }
};

void visit_options(OptionsOf<AdmGuidanceOptions> auto& o, auto&& visit) {
  visit(FieldInfo{"adm_guidance",
                  "Fooocus's size guidance: factors for prompt and negative prompt, and share of "
                  "the steps; 1.5,0.8,0.3",
                  "", 0, 3},
        o.factors);
}

/// A side as Fooocus tells it: the nearest multiple of 64, halves to even.
int64_t rounded_to_64(int64_t side);

/// Height and width times `factor` (cut to whole pixels), target sizes as rounded_to_64().
SizeConditioning emphasized_size(int64_t width, int64_t height, double factor);

/// rounded_to_64() in all fields: what the later steps are told.
SizeConditioning consistent_size(int64_t width, int64_t height);

/// Whether a step at this timestep is told the emphasized size: in the first `share` of the
/// training steps.
bool is_emphasized(double timestep, double share);

/// The size that the network is told over the steps.
struct SizeOverSteps {
  Tensor early, late;  ///< [1,6]; the same one without size guidance
  double share = 0;    ///< see is_emphasized()

  const Tensor& at(double timestep) const { return is_emphasized(timestep, share) ? early : late; }
};

struct ToldSizes {
  SizeOverSteps prompt, negative;
};

/// width, height: of the picture, in pixels.
ToldSizes told_sizes(const AdmGuidanceOptions& options, int64_t width, int64_t height,
                     torch::Device device);

}  // namespace fourstep
