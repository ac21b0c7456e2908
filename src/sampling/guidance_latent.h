#pragma once
// Contrast, brightness and colour by operations on the estimate of x0: they work at any CFG scale and call no
// network. In SDXL's latents channel 0 is luma, 1 and 2 are close to Cr and Cb.

#include <array>
#include <string>

#include "base/tensor.h"

namespace fourstep {

/// Which step of how many; the first is 0.
struct StepPosition {
  int64_t step, num_steps;
};

struct DiffusionCgOptions {
  double recenter = 0;       ///< how much of each channel's mean is taken away
  double normalization = 0;  ///< how far each channel is stretched to the full range
};

/// Strong at the first step, fading out; the last two steps are left alone. denoised: [B,4,h,w].
/// Source: the sd-webui-diffusion-cg extension, with SDXL's scaling factor 0.13025.
Tensor diffusion_cg(const Tensor& denoised, StepPosition position,
                    const DiffusionCgOptions& options);

struct VectorscopeOptions {
  double brightness = 0, contrast = 0, saturation = 1;
  std::array<double, 3> rgb{};           ///< shift towards red, green, blue
  std::string method = "Straight Abs.";  ///< what is added: Straight, Straight Abs., Cross, Ones
  std::string scaling = "Flat";          ///< over the steps: Flat, Cos, Sin, 1 - Cos, 1 - Sin
};

/// Throws InvalidRequest listing the known names where method or scaling is unknown.
void check_vectorscope_names(const VectorscopeOptions& options);

/// `values` with changed brightness, contrast and colour. other: what method "Cross" adds (of x and the estimate
/// the one that `values` is not). [B,4,h,w]. Throws as
/// check_vectorscope_names().
/// Source: the sd-webui-vectorscope-cc extension, its formulas for SDXL.
Tensor vectorscope(const Tensor& values, const Tensor& other, StepPosition position,
                   const VectorscopeOptions& options);

}  // namespace fourstep
