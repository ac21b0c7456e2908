#include "workbench/rounding_loss.h"

#include <algorithm>
#include <cmath>

#include "lora/fuse.h"

namespace fourstep {
namespace {

double sum_of(const Tensor& tensor) { return tensor.sum(torch::kDouble).item<double>(); }

}  // namespace

RoundingLoss rounding_loss(const Tensor& weights, const Tensor& change, Storage storage) {
  const Tensor before = as_stored(weights, storage);
  const Tensor moved = as_stored(before + change, storage) - before;
  const double norm2 = sum_of(change * change);
  if (norm2 == 0) return {};
  RoundingLoss loss;
  loss.arrived = sum_of(moved * change) / norm2;
  loss.error = std::sqrt(sum_of((moved - change).square()) / norm2);
  loss.unchanged = sum_of(moved == 0) / static_cast<double>(moved.numel());
  return loss;
}

SampledRows sample_rows(const Tensor& weight, const LoraModule& module, int64_t count) {
  const Shape full = shape_of(weight);
  const int64_t rows = std::min(count, weight.size(0));
  const int64_t begin = (weight.size(0) - rows) / 2;
  const Tensor part = aligned(weight.narrow(0, begin, rows)).to(torch::kFloat);
  if (!fits_shape(module, full)) delta(module, full);  // says what does not fit
  return {part, delta(take_rows(module, full, begin, rows), shape_of(part)), 1};
}

RoundingLoss mean_rounding_loss(const std::vector<SampledRows>& samples, double strength,
                                Storage storage) {
  RoundingLoss mean{0, 0, 0};
  double shares = 0;
  for (const SampledRows& sample : samples) {
    const RoundingLoss loss = rounding_loss(sample.weight, sample.change * strength, storage);
    mean.arrived += sample.share * loss.arrived;
    mean.error += sample.share * loss.error;
    mean.unchanged += sample.share * loss.unchanged;
    shares += sample.share;
  }
  if (shares == 0) return {};
  return {mean.arrived / shares, mean.error / shares, mean.unchanged / shares};
}

double strength_before_rounding(const std::vector<SampledRows>& samples, double observed,
                                Storage storage) {
  constexpr double kMostLost = 2;
  constexpr int kHalvings = 12;  // to 0.0005
  const double magnitude = std::abs(observed);
  double low = magnitude, high = magnitude + kMostLost;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    const double sign = observed < 0 ? -1 : 1;
    const double shown = middle * mean_rounding_loss(samples, sign * middle, storage).arrived;
    (shown < magnitude ? low : high) = middle;
  }
  // The upper end would call the last halving's width a loss where nothing was lost.
  return std::copysign(low, observed);
}

}  // namespace fourstep
