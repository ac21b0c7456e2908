#pragma once
// Brightness, contrast and colour by an operation on the estimate of x0, at any CFG scale and
// without a network call. In SDXL's latents channel 0 is luma, 1 and 2 are close to Cr and Cb.
// Source: the sd-webui-vectorscope-cc extension, its formulas for SDXL.

#include <span>

#include "guidance/method.h"

namespace fourstep {

/// What is added.
enum class ColorMethod { kStraight, kStraightAbs, kCross, kOnes };
std::span<const Word<ColorMethod>> words_of(ColorMethod);

/// How strong it is over the steps.
enum class ColorScaling { kFlat, kCos, kSin, kOneMinusCos, kOneMinusSin };
std::span<const Word<ColorScaling>> words_of(ColorScaling);

struct VectorscopeOptions {
  double brightness = 0, contrast = 0, saturation = 1;
  std::vector<double> color_shift;  ///< towards red, green, blue; empty: none
  ColorMethod method = ColorMethod::kStraightAbs;
  ColorScaling scaling = ColorScaling::kFlat;

  bool operator==(const VectorscopeOptions&) const = default;
  bool is_on() const;
  void check() const { check_length("--color-shift", color_shift, "0.1,0,-0.1"); }
  static MethodFacts facts();
  std::unique_ptr<GuidanceStage> make_stage(const GuidanceRun& run) const;
};

void visit_options(OptionsOf<VectorscopeOptions> auto& o, auto&& visit) {
  using Info = FieldInfo;
  visit(Info{"brightness", "of the latent, on every step", "", -10, 10}, o.brightness);
  visit(Info{"contrast", "the same", "", -10, 10}, o.contrast);
  visit(Info{"saturation", "the same; 1: none", "", 0, 10}, o.saturation);
  visit(Info{"color_shift", "shift to red,green,blue", "", -10, 10}, o.color_shift);
  visit(Info{"color_method", "what these add: Straight, Straight Abs., Cross or Ones"}, o.method);
  visit(Info{"color_scaling", "over the steps: Flat, Cos, Sin, 1 - Cos or 1 - Sin"}, o.scaling);
}

/// `values` with changed brightness, contrast and colour. other: what kCross adds (of x and the
/// estimate the one that `values` is not). [B,4,h,w].
Tensor vectorscope(const Tensor& values, const Tensor& other, StepPosition position,
                   const VectorscopeOptions& options);

}  // namespace fourstep
