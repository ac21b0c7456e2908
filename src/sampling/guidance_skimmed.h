#pragma once
// Skimmed CFG: where high guidance overshoots (both estimates and the result on one side of x), the estimates are
// brought to what a lower scale gives, so that high scales keep the colours of low ones.
// Source: the behaviour of the ComfyUI extension Skimmed_CFG.

#include <string>

#include "base/tensor.h"
#include "sampling/guidance.h"

namespace fourstep {

enum class SkimMode {
  kSingle,      ///< one skimming scale for both estimates
  kReplace,     ///< uncond becomes cond where guidance overshoots
  kLinear,      ///< uncond is interpolated towards cond there
  kDual,        ///< two scales: where cond overshoots, and where uncond does
  kDifference,  ///< everywhere, by how much the two scales differ
  kTimedFlip,   ///< kSingle without lowering cond; another filter above a noise level
};

/// How kDifference weighs the distance between two scales.
enum class SkimDistance { kLinear, kSquared, kRoot, kAbsoluteSum };

struct SkimOptions {
  SkimMode mode = SkimMode::kSingle;
  double scale = 7;                  ///< skimming scale; kDual: for cond; kDifference: reference
  double negative_scale = 2;         ///< kDual: for uncond
  bool is_negative_skimmed = false;  ///< kSingle: uncond down to scale 0
  bool has_flip_filter = true;       ///< leaves alone where the result lies beyond x
  SkimDistance distance = SkimDistance::kLinear;
  double flip_sigma = 0;          ///< kTimedFlip: no filter above this noise level
  bool is_flip_reversed = false;  ///< kTimedFlip: no filter below it instead
};

/// Throws InvalidRequest listing the known words.
SkimMode skim_mode_from_name(const std::string& name);
SkimDistance skim_distance_from_name(const std::string& name);

/// Where going from b beyond a by `scale` overshoots. Bool [B,4,h,w].
Tensor skimming_mask(const Tensor& x, const CondUncond& a_and_b, double scale,
                     bool has_flip_filter);

/// The pair for CFG at `scale` (not 1). x: [B,4,h,w] at noise level sigma.
CondUncond skimmed(const Tensor& x, double sigma, const CondUncond& pair, double scale,
                   const SkimOptions& options);

}  // namespace fourstep
