#pragma once
// What is known of the model that a request is for, and of the request on it, without reading a
// weight.

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/lint.h"
#include "pipeline/textual_inversions.h"
#include "request/resolve.h"
#include "sampling/noise_schedule.h"

namespace fourstep {

struct ModelFacts {
  ModelTraits traits;
  NoiseSchedule schedule;  ///< as the request has it
  Vocabulary vocabulary;
  bool has_two_encoders = true;
  std::vector<int64_t> text_widths = {};      ///< of the text encoders
  std::vector<InversionBundle> bundles = {};  ///< of the LoRAs
};

/// Of the request's checkpoint and LoRAs. A request that names no model is for SDXL with the
/// four-step DMD2 LoRA.
/// Throws Error when a file cannot be used, as `generate` does.
ModelFacts model_facts(const Request& request);

/// What `generate` would say of sampler, schedule, steps, guidance and size. Throws as
/// model_facts() and resolve().
std::vector<LintFinding> lint_request(const Request& request);

}  // namespace fourstep
