#pragma once
// Which device and which number types the networks compute in.

#include <torch/types.h>

#include <string>

#include "base/tensor.h"

namespace fourstep {

/// "auto" (CUDA when there is one, else the CPU), "cpu", "cuda" or "cuda:N". "cuda" is the GPU with the number of this
/// process on its machine where several were started (LOCAL_RANK and its like; again from the first where there are fewer
/// GPUs), else the first.
/// Throws InvalidRequest for other words and for a device this machine has not.
torch::Device device_from_text(const std::string& text);

/// Which GPU "cuda" or "cuda:N" is for the process of that number on its machine, where `count` GPUs can be seen.
/// Throws InvalidRequest as device_from_text().
int64_t cuda_index(const std::string& text, int64_t local_rank, int64_t count);

/// From then on fp32 is fp32 on CUDA too: cuDNN's convolutions round their inputs to TF32 (10 bits) unless told.
void forbid_tf32();

/// "fp32", "fp16", "bf16" for the dtypes a network can run in.
std::string precision_name(torch::Dtype dtype);

/// The dtype of UNet and text encoders. precision: "auto", "bf16", "fp16" or "fp32"; auto is bf16 where the
/// hardware multiplies it (AVX512-BF16 or AMX, CUDA from Ampere on), fp16 on older CUDA, else fp32.
/// Throws InvalidRequest for other words.
torch::Dtype network_dtype(const std::string& precision, torch::Device device);

/// The dtype of the VAE. auto follows `network`, except that fp16 becomes fp32: the decoder of the original
/// SDXL VAE overflows fp16. Throws InvalidRequest for other words.
torch::Dtype vae_dtype(const std::string& precision, torch::Dtype network);

}  // namespace fourstep
