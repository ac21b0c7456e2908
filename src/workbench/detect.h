#pragma once
// Is this LoRA baked into that checkpoint, and how strongly? Each module of the LoRA gives an
// estimate by projection, s = <W - W_base, D> / <D, D>; what the modules agree on is the strength,
// how they scatter its error bar. Fine-tuning and other LoRAs are noise in this: they are nearly
// orthogonal to D in so many dimensions.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/events.h"
#include "lora/lora_match.h"
#include "workbench/fingerprint.h"
#include "workbench/strength.h"

namespace fourstep {

struct DetectSettings {
  std::filesystem::path lora;
  std::optional<std::filesystem::path> base;        ///< the model that the checkpoint was made from
  std::vector<std::filesystem::path> fingerprints;  ///< of several bases; not looked at with `base`
  bool is_partial_allowed = false;
};

enum class Verdict {
  kNone,     ///< not there
  kPartial,  ///< 0.05 to 0.95 of it
  kFull,
  kMore,      ///< beyond full strength
  kNegative,  ///< taken out beyond nothing
  kOther,     ///< not this one, but another low-rank change of comparable size (needs the base)
  kUnclear    ///< the error bar is too wide to tell
};

/// "none", "partial", "full", "more than full", "negative", "other distillation", "unclear".
const char* to_string(Verdict verdict);

struct Candidate {
  std::string name;  ///< of a fingerprint's base
  StrengthEstimate estimate;
};

struct Detection {
  std::string reference;      ///< what W_base was, in words
  StrengthEstimate estimate;  ///< with rounding in it
  double rounding = 0;        ///< the part of `estimate.error` that rounding may have hidden
  std::optional<double>
      other_change;  ///< norm of what else the checkpoint changed over that of its weights, in
                     ///< the LoRA's modules (with a base)
  bool is_other_low_rank = false;  ///< that change has low rank: another LoRA
  Verdict verdict = Verdict::kUnclear;
  std::vector<ModuleStrength> modules;
  std::vector<Candidate> candidates;  ///< all fingerprints, the best first
};

/// Reports kLoad. Throws Error when files do not fit each other: the LoRA or the base another
/// architecture, a fingerprint made for another LoRA.
Detection detect(const std::filesystem::path& checkpoint, const DetectSettings& settings,
                 const Events& events);

/// By the interval estimate +- error: within 0.05 of nothing, of full strength, or where between.
Verdict verdict_of(const StrengthEstimate& estimate);

}  // namespace fourstep
