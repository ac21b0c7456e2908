#pragma once
// Weights that a file keeps as codes with factors beside them ("scaled fp8"): the value is code *
// factor. As a tensor such a weight is a promise. It has a shape and views like any other but no
// memory of its own, and aligned() of tensor.h multiplies when the values are needed, so that a
// checkpoint is neither read nor doubled at opening. Code that forgets aligned() gets torch's error
// about a meta tensor, never the bare codes.

#include "base/tensor.h"

namespace fourstep {

struct ScaledWeight {
  Tensor codes;  ///< any floating type, contiguous, CPU; mostly a view of a mapped file
  Tensor scale;  ///< fp32 [1], or [n] for codes [n,...]: one factor per output
};

/// The promise of codes * scale, of the shape of the codes. Its type is fp16, in which such weights
/// are written where no other type is asked for. Throws Error when the scale has neither of the two
/// lengths.
Tensor make_scaled_weight(ScaledWeight weight);

/// What `tensor` is made of when it is a promise or a view of one; else null.
const ScaledWeight* scaled_weight_of(const Tensor& tensor);

/// The factor of every element of a promise or of a view of one, as an fp32 tensor of its shape.
/// Undefined for other tensors, and for views that mix rows with columns.
Tensor factors_of(const Tensor& tensor);

/// The values of a promise or of a view of one (a slice reads its own part alone), fp32, of the
/// same shape.
/// Throws Error for any other tensor.
Tensor scaled_values(const Tensor& tensor);

}  // namespace fourstep
