#pragma once
// Weights in the order in which oneDNN's kernels read them. libtorch reorders a plain weight on
// every call, which at 512x512 costs as much as the product itself; here it is done once.

#include <torch/nn/module.h>

#include "base/tensor.h"

namespace fourstep {

/// Reorders the weights of all Linear and Conv2d layers inside `module` that are bf16 on the CPU
/// and not yet reordered, and frees the plain ones; on processors without AVX512-BF16 it does
/// nothing. For inference: a packed layer has no gradient. After a parameter of a packed layer was
/// replaced (set_weight), call it again; until then that layer uses the plain weight.
void pack_weights(torch::nn::Module& module);

/// x @ W^T + bias with a packed weight. x: [...,in] bf16.
Tensor packed_linear(const Tensor& x, const Tensor& packed, const Tensor& bias);

/// 2-D convolution with a packed weight, x: [B,C,h,w] bf16, channels-last.
Tensor packed_conv2d(const Tensor& x, const Tensor& packed, const Tensor& bias, int64_t stride,
                     int64_t padding);

}  // namespace fourstep
