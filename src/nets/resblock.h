#pragma once
// The convolutional parts that UNet and VAE share: residual block, downsampler, upsampler. Member names are
// the parameter names of diffusers checkpoints. All maps are best channels-last.

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
  Tensor forward(const Tensor& x, const Tensor& temb = {});

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

/// x: [B,C,h,w]. Returns half the size; odd sizes are rounded up with kAllSides, down with kRightBottom.
struct DownsamplerImpl : nn::Module {
  DownsamplerImpl(int64_t channels, DownsamplePadding padding);
  Tensor forward(const Tensor& x);
  Conv2d conv{nullptr};
  DownsamplePadding padding;
};
TORCH_MODULE(Downsampler);

/// Nearest-neighbour enlargement, then a 3x3 convolution. x: [B,C,h,w]. Returns [B,C,height,width].
/// Where the size is not exactly doubled (skips of odd size), source row i is floor(i * h / height), as in
/// diffusers and ComfyUI.
struct UpsamplerImpl : nn::Module {
  explicit UpsamplerImpl(int64_t channels);
  Tensor forward(const Tensor& x, int64_t height, int64_t width);
  Conv2d conv{nullptr};
};
TORCH_MODULE(Upsampler);

}  // namespace fourstep
