#pragma once
// Products with weights of layers.

#include "base/tensor.h"

namespace fourstep {

/// x @ weight^T + bias. x: [...,in], weight: [out,in], bias: [out] or undefined. In fp32 on the CPU it is computed as a
/// 1x1 convolution, since oneDNN's kernels use all of AVX-512 on every make of processor; MKL's, which at::linear
/// takes, do not: forward and backward took twice as long on an AMD EPYC.
Tensor linear_product(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

}  // namespace fourstep
