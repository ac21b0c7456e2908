#include "sampling/guidance_latent.h"

#include <cmath>
#include <numbers>
#include <span>
#include <string_view>

#include "sampling/find_row.h"
#include "sampling/per_sample.h"

namespace fourstep {

namespace {

constexpr double kScalingFactor = 0.13025;

/// The share of a quarter turn that is done.
double quarter_angle(StepPosition position) {
  return std::numbers::pi / 2 * static_cast<double>(position.step) /
         static_cast<double>(position.num_steps);
}

struct ScalingRow {
  std::string_view name;
  double (*factor)(double angle);
};

constexpr std::array kScalings{
    ScalingRow{"Flat", [](double) { return 1.0; }},
    ScalingRow{"Cos", [](double a) { return std::cos(a); }},
    ScalingRow{"Sin", [](double a) { return std::sin(a); }},
    ScalingRow{"1 - Cos", [](double a) { return 1 - std::cos(a); }},
    ScalingRow{"1 - Sin", [](double a) { return 1 - std::sin(a); }},
};

struct MethodRow {
  std::string_view name;
  Tensor (*addend)(const Tensor& values, const Tensor& other);
};

constexpr std::array kMethods{
    MethodRow{"Straight", [](const Tensor& values, const Tensor&) { return values; }},
    MethodRow{"Straight Abs.", [](const Tensor& values, const Tensor&) { return values.abs(); }},
    MethodRow{"Cross", [](const Tensor&, const Tensor& other) { return other; }},
    MethodRow{"Ones", [](const Tensor& values, const Tensor&) { return at::ones_like(values); }},
};

const ScalingRow& scaling_of(const VectorscopeOptions& options) {
  return find_row(std::span<const ScalingRow>(kScalings), "color scaling", options.scaling);
}

const MethodRow& method_of(const VectorscopeOptions& options) {
  return find_row(std::span<const MethodRow>(kMethods), "color method", options.method);
}

Tensor channel(const Tensor& x, int64_t index) { return x.narrow(1, index, 1); }

Tensor mean_per_channel(const Tensor& x) { return x.mean(at::IntArrayRef{2, 3}, true); }

}  // namespace

Tensor diffusion_cg(const Tensor& denoised, StepPosition position,
                    const DiffusionCgOptions& options) {
  if (position.step + 1 >= position.num_steps - 1) return denoised;
  const double strength = 1 - std::sin(quarter_angle(position));
  const Tensor spread = denoised.std(at::IntArrayRef{2, 3}, true, true) / std_per_sample(denoised);
  const Tensor centred =
      denoised - mean_per_channel(denoised) * spread * (strength * options.recenter);
  const Tensor range =
      centred.amax({2, 3}, /*keepdim=*/true) - centred.amin({2, 3}, /*keepdim=*/true);
  const Tensor stretch = ((kScalingFactor * range).reciprocal() - 1).clamp_min(0);
  return centred * (stretch * (options.normalization * strength) + 1);
}

void check_vectorscope_names(const VectorscopeOptions& options) {
  scaling_of(options);
  method_of(options);
}

Tensor vectorscope(const Tensor& values, const Tensor& other, StepPosition position,
                   const VectorscopeOptions& options) {
  const double factor = scaling_of(options).factor(quarter_angle(position));
  const Tensor addend = method_of(options).addend(values, other);
  const auto [r, g, b] = options.rgb;
  const double cr = (0.5 * r - 0.42 * g - 0.08 * b) * factor;
  const double cb = (-0.17 * r - 0.33 * g + 0.5 * b) * factor;
  const double saturation = (options.saturation - 1) * factor + 1;
  Tensor luma = channel(values, 0) + channel(addend, 0) * (options.brightness * factor);
  luma = luma + (luma - mean_per_channel(luma)) * (options.contrast * factor);
  const Tensor red = (channel(values, 1) - channel(addend, 1) * cr) * saturation;
  const Tensor blue = (channel(values, 2) - channel(addend, 2) * cb) * saturation;
  return at::cat({luma, red, blue, channel(values, 3)}, 1);
}

}  // namespace fourstep
