#pragma once
// Skimmed CFG: where high guidance overshoots (both estimates and the result on one side of x), the
// estimates are brought to what a lower scale gives, so that high scales keep the colours of low
// ones.
// Source: the behaviour of the ComfyUI extension Skimmed_CFG.

#include <span>

#include "guidance/method.h"

namespace fourstep {

enum class SkimMode {
  kOff,
  kSingle,      ///< one skimming scale for both estimates
  kReplace,     ///< uncond becomes cond where guidance overshoots
  kLinear,      ///< uncond is interpolated towards cond there
  kDual,        ///< two scales: where cond overshoots, and where uncond does
  kDifference,  ///< everywhere, by how much the two scales differ
  kTimedFlip,   ///< kSingle without lowering cond; another filter above a noise level
};
std::span<const Word<SkimMode>> words_of(SkimMode);

/// How kDifference weighs the distance between two scales.
enum class SkimDistance { kLinear, kSquared, kRoot, kAbsoluteSum };
std::span<const Word<SkimDistance>> words_of(SkimDistance);

struct SkimOptions {
  SkimMode mode = SkimMode::kOff;
  double scale = 7;             ///< skimming scale; kDual: for cond; kDifference: reference
  double negative_scale = 2;    ///< kDual: for uncond
  bool full_negative = false;   ///< kSingle: uncond down to scale 0
  bool without_filter = false;  ///< skims also where the result lies beyond x
  SkimDistance distance = SkimDistance::kLinear;
  double flip_at = 0.3;       ///< kTimedFlip: share of the steps without filter
  bool flip_reverse = false;  ///< kTimedFlip: no filter after it instead

  bool operator==(const SkimOptions&) const = default;
  bool is_on() const { return mode != SkimMode::kOff; }
  static MethodFacts facts();
  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun& run) const;
};

void visit_options(OptionsOf<SkimOptions> auto& o, auto&& visit) {
  using Info = FieldInfo;
  visit(Info{"skimmed_cfg",
             "where CFG overshoots: off, single, replace, linear, dual, difference or timed_flip"},
        o.mode);
  visit(Info{"skim_scale", "scale that skimming falls back to", "", 0, 100}, o.scale);
  visit(Info{"skim_negative_scale", "the same where uncond overshoots (dual)", "", 0, 100},
        o.negative_scale);
  visit(Info{"skim_full_negative", "skim uncond down to scale 0 (single)"}, o.full_negative);
  visit(Info{"skim_without_filter", "skim also where the result crosses the noisy latent"},
        o.without_filter);
  visit(Info{"skim_distance",
             "linear_distance, squared_distance, root_distance or absolute_sum (difference)"},
        o.distance);
  visit(Info{"skim_flip_at", "share of the steps before the filter changes (timed_flip)", "", 0, 1},
        o.flip_at);
  visit(Info{"skim_flip_reverse", "the other way round (timed_flip)"}, o.flip_reverse);
}

/// Where going from b beyond a by `scale` overshoots. Bool [B,4,h,w].
Tensor skimming_mask(const Tensor& x, const CondUncond& a_and_b, double scale,
                     bool has_flip_filter);

/// The pair for CFG at `scale` (not 1). x: [B,4,h,w]. has_filter: unlike `without_filter` it may
/// change over the steps. kDifference weighs by all that the tensors hold.
CondUncond skimmed(const Tensor& x, const CondUncond& pair, double scale,
                   const SkimOptions& options, bool has_filter);

}  // namespace fourstep
