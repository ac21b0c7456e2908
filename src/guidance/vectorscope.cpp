#include "guidance/vectorscope.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace fourstep {

namespace {

constexpr std::array kColorMethods{Word<ColorMethod>{"Straight", ColorMethod::kStraight},
                                   Word<ColorMethod>{"Straight Abs.", ColorMethod::kStraightAbs},
                                   Word<ColorMethod>{"Cross", ColorMethod::kCross},
                                   Word<ColorMethod>{"Ones", ColorMethod::kOnes}};

constexpr std::array kColorScalings{Word<ColorScaling>{"Flat", ColorScaling::kFlat},
                                    Word<ColorScaling>{"Cos", ColorScaling::kCos},
                                    Word<ColorScaling>{"Sin", ColorScaling::kSin},
                                    Word<ColorScaling>{"1 - Cos", ColorScaling::kOneMinusCos},
                                    Word<ColorScaling>{"1 - Sin", ColorScaling::kOneMinusSin}};

double factor_of(ColorScaling scaling, double angle) {
  switch (scaling) {
    case ColorScaling::kFlat:
      return 1;
    case ColorScaling::kCos:
      return std::cos(angle);
    case ColorScaling::kSin:
      return std::sin(angle);
    case ColorScaling::kOneMinusCos:
      return 1 - std::cos(angle);
    case ColorScaling::kOneMinusSin:
      return 1 - std::sin(angle);
  }
  return 1;
}

Tensor addend_of(ColorMethod method, const Tensor& values, const Tensor& other) {
  switch (method) {
    case ColorMethod::kStraight:
      return values;
    case ColorMethod::kStraightAbs:
      return values.abs();
    case ColorMethod::kCross:
      return other;
    case ColorMethod::kOnes:
      return at::ones_like(values);
  }
  return values;
}

struct VectorscopeStage : GuidanceStage {
  explicit VectorscopeStage(const VectorscopeOptions& options) : options(options) {}

  Tensor after(const GuidanceCall& call, const CondUncond&, const Tensor& denoised) override {
    return vectorscope(denoised, call.x, call.position, options);
  }

  VectorscopeOptions options;
};

}  // namespace

std::span<const Word<ColorMethod>> words_of(ColorMethod) { return kColorMethods; }

std::span<const Word<ColorScaling>> words_of(ColorScaling) { return kColorScalings; }

bool VectorscopeOptions::is_on() const {
  return brightness != 0 || contrast != 0 || saturation != 1 ||
         std::any_of(color_shift.begin(), color_shift.end(), [](double v) { return v != 0; });
}

MethodFacts VectorscopeOptions::facts() { return {.name = "vectorscope"}; }

std::unique_ptr<GuidanceStage> VectorscopeOptions::make_stage(const GuidanceRun&) const {
  return std::make_unique<VectorscopeStage>(*this);
}

Tensor vectorscope(const Tensor& values, const Tensor& other, StepPosition position,
                   const VectorscopeOptions& options) {
  const auto channel = [](const Tensor& x, int64_t index) { return x.narrow(1, index, 1); };
  const double factor = factor_of(options.scaling, quarter_angle(position));
  const Tensor addend = addend_of(options.method, values, other);
  std::array<double, 3> shift{};
  std::copy_n(options.color_shift.begin(), std::min<size_t>(3, options.color_shift.size()),
              shift.begin());
  const auto [r, g, b] = shift;
  const double cr = (0.5 * r - 0.42 * g - 0.08 * b) * factor;
  const double cb = (-0.17 * r - 0.33 * g + 0.5 * b) * factor;
  const double saturation = (options.saturation - 1) * factor + 1;
  Tensor luma = channel(values, 0) + channel(addend, 0) * (options.brightness * factor);
  luma = luma + (luma - luma.mean(at::IntArrayRef{2, 3}, true)) * (options.contrast * factor);
  const Tensor red = (channel(values, 1) - channel(addend, 1) * cr) * saturation;
  const Tensor blue = (channel(values, 2) - channel(addend, 2) * cb) * saturation;
  return at::cat({luma, red, blue, channel(values, 3)}, 1);
}

}  // namespace fourstep
