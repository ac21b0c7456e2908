#pragma once
// The losses of DMD2 as functions of noise predictions.

#include <functional>

#include "base/tensor.h"
#include "layers/module_list.h"
#include "nets/blocks.h"
#include "train/noise_levels.h"

namespace fourstep {

/// A network's noise prediction with the prompt, at x_t [B,4,h,w] and timesteps [B].
using EpsFunction = std::function<Tensor(const Tensor& x_t, const Tensor& timesteps)>;

/// The teacher's two predictions.
struct TeacherEps {
  Tensor cond, uncond;  ///< [B,4,h,w]; uncond undefined where guidance is off (scale 1)
  Tensor guided(double scale) const;
};
using TeacherFunction = std::function<TeacherEps(const Tensor& x_t, const Tensor& timesteps)>;

/// Where a clean sample is noised to.
struct NoisedAt {
  Tensor timesteps;  ///< [B] int64
  Tensor noise;      ///< [B,4,h,w]
};

/// The direction g in which to move x0 down, [B,4,h,w]: (eps_T - eps_C) / mean|eps_T - noise| per
/// sample, which is (mu_C - mu_T) / mean|x0 - mu_T| without the division by alpha. The denominator
/// is at least 1e-3; g is clamped to +-10 and 0 where it is not finite. Records no gradients.
/// Sources: DMD2 (2405.14867), sec. 3 and sd_guidance.py 168-255, there in the x0 form.
Tensor distribution_matching_gradient(const Tensor& x0, const NoisedAt& at,
                                      const NoiseLevels& levels, const TeacherFunction& teacher,
                                      const EpsFunction& critic, double cfg_scale);

/// The same in two parts with noise levels of their own: matching without guidance at `matching`,
/// and the pull of guidance, (w - 1) (eps_cond - eps_uncond) / mean|eps_T - noise|, at `guidance`,
/// which should be cleaner than the student's step. Source: Decoupled DMD (2511.22677), sec. 3,
/// hybrid schedule.
struct DecoupledAt {
  NoisedAt matching, guidance;
};
Tensor decoupled_gradient(const Tensor& x0, const DecoupledAt& at, const NoiseLevels& levels,
                          const TeacherFunction& teacher, const EpsFunction& critic,
                          double cfg_scale);

/// 0.5 mean (x0 - stopgrad(x0 - g))^2: its gradient on x0 is g / (number of elements).
Tensor matching_loss(const Tensor& x0, const Tensor& gradient);

/// mean (critic(x_t) - noise)^2 on the student's samples; x0 is taken as a constant.
Tensor critic_loss(const Tensor& x0, const NoisedAt& at, const NoiseLevels& levels,
                   const EpsFunction& critic);

// DMD2's GAN head: convolutions from the critic's middle block down to one number.

/// Blocks of (4x4 convolution with stride 2, GroupNorm, SiLU) until the map is at most 4 wide, one
/// convolution over all that is left, GroupNorm, SiLU, and a 1x1 convolution. On SDXL at 1024 px (a
/// 32x32 map) these are the layers of the published head; a 4x4 map has no block with stride.
/// Source: DMD2's sd_guidance.py, lines 107-135; the weights begin random, as torch's default
/// layers.
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
