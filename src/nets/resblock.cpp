#include "nets/resblock.h"

namespace fourstep {

Tensor silu_of_temporary(Tensor x) {
  return at::GradMode::is_enabled() && x.requires_grad() ? at::silu(x) : at::silu_(x);
}

ResBlockImpl::ResBlockImpl(int64_t in_channels, int64_t out_channels, ResBlockOptions options) {
  norm1 = register_module("norm1", GroupNorm(kNormGroups, in_channels, options.eps));
  conv1 = register_module("conv1", Conv2d(in_channels, out_channels));
  if (options.time_channels > 0) {
    time_emb_proj = register_module("time_emb_proj", Linear(options.time_channels, out_channels));
  }
  norm2 = register_module("norm2", GroupNorm(kNormGroups, out_channels, options.eps));
  conv2 = register_module("conv2", Conv2d(out_channels, out_channels));
  if (in_channels != out_channels) {
    const Conv2dOptions pointwise{.kernel = 1, .padding = 0};
    conv_shortcut = register_module("conv_shortcut", Conv2d(in_channels, out_channels, pointwise));
  }
}

// Sums are made in place on the fresh output of a convolution, which autograd does not need.
Tensor ResBlockImpl::forward(const Tensor& x, const Tensor& temb) {
  Tensor h = conv1(silu_of_temporary(norm1(x)));
  if (time_emb_proj) h.add_(time_emb_proj(at::silu(temb)).unsqueeze(-1).unsqueeze(-1));
  h = conv2(silu_of_temporary(norm2(h)));
  return h.add_(conv_shortcut ? conv_shortcut(x) : x);
}

DownsamplerImpl::DownsamplerImpl(int64_t channels, DownsamplePadding padding) : padding(padding) {
  const int64_t own_padding = padding == DownsamplePadding::kAllSides ? 1 : 0;
  conv = register_module(
      "conv", Conv2d(channels, channels, Conv2dOptions{.stride = 2, .padding = own_padding}));
}

Tensor DownsamplerImpl::forward(const Tensor& x) {
  if (padding == DownsamplePadding::kAllSides) return conv(x);
  return conv(at::constant_pad_nd(x, {0, 1, 0, 1}));
}

UpsamplerImpl::UpsamplerImpl(int64_t channels) {
  conv = register_module("conv", Conv2d(channels, channels));
}

Tensor UpsamplerImpl::forward(const Tensor& x, int64_t height, int64_t width) {
  return conv(at::upsample_nearest2d(x, {height, width}));
}

}  // namespace fourstep
