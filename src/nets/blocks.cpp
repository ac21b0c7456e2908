#include "nets/blocks.h"

#include <cmath>

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
Tensor ResBlockImpl::forward(const Tensor& x, const Tensor& temb, const Branches* branches) {
  Tensor h = conv1(silu_of_temporary(norm1(x)), branches);
  if (time_emb_proj) {
    h.add_(time_emb_proj(at::silu(temb), branches).unsqueeze(-1).unsqueeze(-1));
  }
  h = conv2(silu_of_temporary(norm2(h)), branches);
  return h.add_(conv_shortcut ? conv_shortcut(x, branches) : x);
}

DownsamplerImpl::DownsamplerImpl(int64_t channels, DownsamplePadding padding) : padding(padding) {
  const int64_t own_padding = padding == DownsamplePadding::kAllSides ? 1 : 0;
  conv = register_module(
      "conv", Conv2d(channels, channels, Conv2dOptions{.stride = 2, .padding = own_padding}));
}

Tensor DownsamplerImpl::forward(const Tensor& x, const Branches* branches) {
  if (padding == DownsamplePadding::kAllSides) return conv(x, branches);
  return conv(at::constant_pad_nd(x, {0, 1, 0, 1}), branches);
}

UpsamplerImpl::UpsamplerImpl(int64_t channels) {
  conv = register_module("conv", Conv2d(channels, channels));
}

Tensor UpsamplerImpl::forward(const Tensor& x, int64_t height, int64_t width,
                              const Branches* branches) {
  return conv(at::upsample_nearest2d(x, {height, width}), branches);
}

Tensor sinusoidal_embedding(const Tensor& values, int64_t width) {
  const int64_t half = width / 2;
  const auto options = torch::dtype(torch::kFloat32).device(values.device());
  const Tensor frequencies = at::exp(at::arange(half, options) * (-std::log(10000.0) / half));
  const Tensor angles = values.to(torch::kFloat32).unsqueeze(-1) * frequencies;
  return at::cat({at::cos(angles), at::sin(angles)}, -1);
}

EmbeddingMlpImpl::EmbeddingMlpImpl(int64_t in_width, int64_t out_width) {
  linear_1 = register_module("linear_1", Linear(in_width, out_width));
  linear_2 = register_module("linear_2", Linear(out_width, out_width));
}

Tensor EmbeddingMlpImpl::forward(const Tensor& x, const Branches* branches) {
  return linear_2(at::silu(linear_1(x, branches)), branches);
}

}  // namespace fourstep
