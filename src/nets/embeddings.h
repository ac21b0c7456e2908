#pragma once
// Numbers (timesteps, picture sizes) as vectors, and the two-layer network behind them.

#include "layers/layers.h"

namespace fourstep {

/// Sinusoidal embedding: [cos(t f_i), sin(t f_i)] with f_i = exp(-ln(10000) i / (width/2)), cos first.
/// values: any shape [...], computed in fp32; timesteps may lie between integers. width: even.
/// Returns [..., width] fp32. Source: Vaswani et al. 2017 (1706.03762), sec. 3.5, in the order and with the
/// frequencies of the latent-diffusion reference code (diffusers: flip_sin_to_cos, freq_shift 0).
Tensor sinusoidal_embedding(const Tensor& values, int64_t width);

/// linear_2(SiLU(linear_1(x))). x: [B,in_width]. Returns [B,out_width].
struct EmbeddingMlpImpl : nn::Module {
  EmbeddingMlpImpl(int64_t in_width, int64_t out_width);
  Tensor forward(const Tensor& x);
  Linear linear_1{nullptr}, linear_2{nullptr};
};
TORCH_MODULE(EmbeddingMlp);

}  // namespace fourstep
