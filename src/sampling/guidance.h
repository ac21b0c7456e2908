#pragma once
// Classifier-free guidance. Its two halves, getting a pair of estimates and combining them, are separate so
// that other methods can change the pair or the combination.

#include <functional>

#include "base/tensor.h"
#include "sampling/denoiser.h"

namespace fourstep {

/// Estimates of x0 with the prompt and with the negative prompt, each [B,4,h,w].
struct CondUncond {
  Tensor cond, uncond;
};

/// Like Denoiser, for both at once.
using PairDenoiser = std::function<CondUncond(const Tensor& x, const Tensor& sigma)>;

/// Two network calls, uncond first. Takes half the memory of one doubled batch.
PairDenoiser in_two_calls(Denoiser cond, Denoiser uncond);

/// One network call on a doubled batch. both: takes x [2B,4,h,w] and sigma [2B]; the first B samples belong
/// to uncond, the others to cond (the order of ComfyUI, Forge and diffusers).
PairDenoiser in_one_batch(Denoiser both);

/// uncond + scale * (cond - uncond). Source: Ho and Salimans 2022 (2207.12598), eq. 6 with scale = 1 + w.
Tensor combine_cfg(const CondUncond& pair, double scale);

/// Whether the scale is 1 within 1e-9, so that uncond has no influence. Source: the rule of ComfyUI.
bool is_neutral_scale(double scale);

/// Guided estimate of x0. At scale 1 `cond` alone is called: one network call on [B].
Denoiser with_cfg(Denoiser cond, PairDenoiser pair, double scale);

/// The same in two calls: with_cfg(cond, in_two_calls(cond, uncond), scale).
Denoiser with_cfg(Denoiser cond, Denoiser uncond, double scale);

}  // namespace fourstep
