#pragma once
// Small changes of drawn pictures, so that a classifier trained on them also reads those that networks draw.

#include "base/tensor.h"
#include "train/random.h"

namespace fourstep {

/// Each picture gets, in its own strength: other contrast (0.8..1.2), brightness (+-0.12) and colour balance
/// (+-0.06 per channel), a blur between none and a 3x3 average (or sharpening, to a third of that), and noise of
/// standard deviation 0..0.12; in units of the range [-1,1], to which the result is clamped.
/// pictures: [B,3,S,S] fp32. Each number depends on the key and its place alone.
Tensor augment_pictures(const Tensor& pictures, const RandomKey& key);

}  // namespace fourstep
