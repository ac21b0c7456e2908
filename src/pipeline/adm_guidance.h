#pragma once
// Size guidance: the network is told a larger picture for the prompt and a smaller one for the negative prompt, which
// makes sharper pictures. Source: Fooocus's behaviour; SDXL's size conditions are Podell et al. 2023 (2307.01952).

#include <vector>

#include "request/resolve.h"
#include "text/conditioning.h"

namespace fourstep {

/// A side as Fooocus tells it: the nearest multiple of 64, halves to even.
int64_t rounded_to_64(int64_t side);

/// Height and width times `factor` (cut to whole pixels), target sizes as rounded_to_64().
SizeConditioning emphasized_size(int64_t width, int64_t height, double factor);

/// rounded_to_64() in all fields: what the later steps are told.
SizeConditioning consistent_size(int64_t width, int64_t height);

/// Whether a step at this timestep is told the emphasized size: in the first `share` of the training steps.
bool is_emphasized(double timestep, double share);

/// The size that one prompt is told over the steps.
struct SizeOverSteps {
  Tensor early, late;  ///< [1,6]; the same one without size guidance
  double share = 0;    ///< see is_emphasized()

  const Tensor& at(double timestep) const { return is_emphasized(timestep, share) ? early : late; }
};

/// negative: for the negative prompt.
SizeOverSteps size_over_steps(const ResolvedRequest& request, bool negative, torch::Device device);

}  // namespace fourstep
