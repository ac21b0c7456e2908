#pragma once
// What `inspect` knows of the model that a request is for. No weights are read.

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/defaults.h"
#include "pipeline/request.h"
#include "pipeline/resources.h"
#include "pipeline/textual_inversions.h"
#include "sampling/noise_schedule.h"

namespace fourstep {

struct ModelFacts {
  ModelTraits traits;
  NoiseSchedule schedule;
  Vocabulary vocabulary;
  bool has_two_encoders = true;
  std::vector<int64_t> text_widths = {};      ///< of the text encoders
  std::vector<InversionBundle> bundles = {};  ///< of the LoRAs
};

/// Of the request's checkpoint and LoRAs. A request that names no model is for SDXL with the four-step DMD2 LoRA.
/// Throws Error when a file cannot be used, as `generate` does.
ModelFacts model_facts(const Request& request);

}  // namespace fourstep
