#pragma once
// "Scaled fp8" checkpoints: weights in 8-bit floats with one factor per layer beside them.
// Source of the layout: ComfyUI (marker tensor `scaled_fp8`, `<layer>.scale_weight`,
// `<layer>.scale_input`).

#include <string>

#include "base/tensor.h"

namespace fourstep {

/// Replaces each 8-bit weight that has a scale ("X.weight" beside the scalar "X.scale_weight") by
/// weight * scale, multiplied in fp32 and stored in fp16, and removes all marks of the scheme.
/// Other tensors are untouched; 8-bit weights without a scale are plain casts and stay as they are.
/// what: the file, for messages. Throws Error naming the key when a scale is not one number.
NamedTensors apply_fp8_scales(NamedTensors tensors, const std::string& what);

}  // namespace fourstep
