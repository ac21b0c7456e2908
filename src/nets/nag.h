#pragma once
// Normalized attention guidance: in every attention to the text, the result for the prompt is pushed away from that
// for a negative prompt. The network runs once; only the text gets extra rows.
// Source: Chen et al. 2025 (2505.21179), section 3; the authors' SDXL code.

#include "base/tensor.h"

namespace fourstep {

struct NagGuidance {
  Tensor
      context;  ///< [P,L,cross_width], the negative prompt's; acts on the last P samples of a batch
  double scale = 3;    ///< how far: 1 not at all
  double tau = 2.5;    ///< longest result, as a multiple of the prompt's own
  double alpha = 0.5;  ///< share of the result; the rest is the prompt's own
};

/// positive, negative: [B,L,C], attention results before the output projection. Returns the same shape.
Tensor nag_combine(const Tensor& positive, const Tensor& negative, const NagGuidance& nag);

/// The rows of both contexts below each other; the shorter one is repeated to the length of the longer, which leaves
/// its attention as it is. [B,L,C] and [P,M,C]. Returns [B+P,max(L,M),C].
Tensor cat_nag_context(const Tensor& context, const Tensor& negative);

}  // namespace fourstep
