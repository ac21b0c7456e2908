#pragma once
// DMD2's GAN head: convolutions from the critic's middle block down to one number.

#include "layers/module_list.h"
#include "nets/resblock.h"

namespace fourstep {

/// Blocks of (4x4 convolution with stride 2, GroupNorm, SiLU) until the map is at most 4 wide, one convolution over
/// all that is left, GroupNorm, SiLU, and a 1x1 convolution. On SDXL at 1024 px (a 32x32 map) these are the layers of
/// the published head; a 4x4 map has no block with stride.
/// Source: DMD2's sd_guidance.py, lines 107-135; the weights begin random, as torch's default layers.
struct DiscriminatorImpl : nn::Module {
  /// channels: of the middle block; side: of its map.
  DiscriminatorImpl(int64_t channels, int64_t side);

  /// features: [B,channels,side,side]. Returns logits [B]: high for real ones. Computed in fp32.
  Tensor forward(const Tensor& features);

  ModuleList<Conv2d> convs;
  ModuleList<GroupNorm> norms;
  Conv2d conv_out{nullptr};
};
TORCH_MODULE(Discriminator);

/// mean softplus(-logits): small when the discriminator takes the student's samples for real.
Tensor generator_gan_loss(const Tensor& fake_logits);

/// mean softplus(fake) + mean softplus(-real).
Tensor discriminator_loss(const Tensor& fake_logits, const Tensor& real_logits);

}  // namespace fourstep
