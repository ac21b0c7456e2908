#pragma once
// The small parts of networks: residual block, downsampler and upsampler of UNet and VAE, and the
// embedding of numbers. Member names are the parameter names of diffusers checkpoints. All maps are
// best channels-last. branches: of an adapter, null for none.

#include "layers/layers.h"
#include "layers/module_list.h"

namespace fourstep {

/// Groups of every group norm here; the shapes do not tell.
constexpr int64_t kNormGroups = 32;

/// SiLU of a tensor that nobody else needs: in place unless autograd wants the input.
Tensor silu_of_temporary(Tensor x);

struct ResBlockOptions {
  int64_t time_channels = 0;  ///< width of the time embedding; 0: none (VAE)
  double eps = 1e-5;          ///< of the group norms: 1e-5 in the UNet, 1e-6 in the VAE
};

/// Residual block: (GroupNorm, SiLU, 3x3 convolution) twice, the time embedding added in between.
/// Source: ResBlock of the latent-diffusion reference code (Rombach et al. 2022, 2112.10752).
struct ResBlockImpl : nn::Module {
  ResBlockImpl(int64_t in_channels, int64_t out_channels, ResBlockOptions options);

  /// x: [B,in_channels,h,w]; temb: [B,time_channels], undefined without time embedding.
  /// Returns [B,out_channels,h,w], dtype of x.
  Tensor forward(const Tensor& x, const Tensor& temb = {}, const Branches* branches = nullptr);

  GroupNorm norm1{nullptr}, norm2{nullptr};
  Conv2d conv1{nullptr}, conv2{nullptr};
  Conv2d conv_shortcut{nullptr};  ///< empty when in_channels == out_channels
  Linear time_emb_proj{nullptr};  ///< empty without time embedding
};
TORCH_MODULE(ResBlock);

/// Which sides are padded before the stride-2 convolution.
enum class DownsamplePadding {
  kAllSides,     ///< UNet: one pixel on each side
  kRightBottom,  ///< VAE encoder: one pixel right and below
};

/// x: [B,C,h,w]. Returns half the size; odd sizes are rounded up with kAllSides, down with
/// kRightBottom.
struct DownsamplerImpl : nn::Module {
  DownsamplerImpl(int64_t channels, DownsamplePadding padding);
  Tensor forward(const Tensor& x, const Branches* branches = nullptr);
  Conv2d conv{nullptr};
  DownsamplePadding padding;
};
TORCH_MODULE(Downsampler);

/// Nearest-neighbour enlargement, then a 3x3 convolution. x: [B,C,h,w]. Returns [B,C,height,width].
/// Where the size is not exactly doubled (skips of odd size), source row i is floor(i * h /
/// height), as in diffusers and ComfyUI.
struct UpsamplerImpl : nn::Module {
  explicit UpsamplerImpl(int64_t channels);
  Tensor forward(const Tensor& x, int64_t height, int64_t width,
                 const Branches* branches = nullptr);
  Conv2d conv{nullptr};
};
TORCH_MODULE(Upsampler);

/// Sinusoidal embedding: [cos(t f_i), sin(t f_i)] with f_i = exp(-ln(10000) i / (width/2)), cos
/// first.
/// values: any shape [...], computed in fp32; timesteps may lie between integers. width: even.
/// Returns [..., width] fp32. Source: Vaswani et al. 2017 (1706.03762), sec. 3.5, in the order and
/// with the frequencies of the latent-diffusion reference code (diffusers: flip_sin_to_cos,
/// freq_shift 0).
Tensor sinusoidal_embedding(const Tensor& values, int64_t width);

/// linear_2(SiLU(linear_1(x))). x: [B,in_width]. Returns [B,out_width].
struct EmbeddingMlpImpl : nn::Module {
  EmbeddingMlpImpl(int64_t in_width, int64_t out_width);
  Tensor forward(const Tensor& x, const Branches* branches = nullptr);
  Linear linear_1{nullptr}, linear_2{nullptr};
};
TORCH_MODULE(EmbeddingMlp);

}  // namespace fourstep
