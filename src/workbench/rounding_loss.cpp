#include "workbench/rounding_loss.h"

#include <algorithm>
#include <cmath>

#include "base/scaled_weight.h"
#include "lora/fuse.h"

namespace fourstep {
namespace {

double sum_of(const Tensor& tensor) { return tensor.sum(torch::kDouble).item<double>(); }

/// What a merge at `strength` into the samples shows.
StrengthEstimate shown(const std::vector<SampledRows>& samples, double strength, Storage storage) {
  std::vector<ModuleStrength> modules;
  for (const SampledRows& sample : samples) {
    const auto as_stored = [&](const Tensor& t) {
      return sample.unit.defined() ? t / sample.unit.abs().clamp_min(1e-30) : t;
    };
    const RoundingLoss loss =
        rounding_loss(as_stored(sample.weight), as_stored(sample.change) * strength, storage);
    modules.push_back({{}, strength * loss.arrived, sample.share});
  }
  return pooled(modules);
}

/// The largest magnitude of a strength of this sign that may show as no more than `magnitude`.
double largest_hidden(const std::vector<SampledRows>& samples, double sign, double magnitude,
                      Storage storage) {
  constexpr double kMostLost = 2;
  constexpr int kHalvings = 20;  // to 2e-6
  double low = magnitude, high = magnitude + kMostLost;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    const StrengthEstimate found = shown(samples, sign * middle, storage);
    const double mean = sign * found.strength;
    // Where one module outweighs all others the bar of the samples says nothing, hence the limit.
    (mean - std::min(found.error, std::abs(mean) / 2) <= magnitude ? low : high) = middle;
  }
  // The upper end would call the last halving's width a loss where nothing was lost.
  return low;
}

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
  return {part, delta(take_rows(module, full, begin, rows), shape_of(part)), 1,
          factors_of(weight.narrow(0, begin, rows))};
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

StrengthRange range_before_rounding(const std::vector<SampledRows>& samples,
                                    const StrengthEstimate& observed, Storage storage) {
  const double low = observed.strength - observed.error, high = observed.strength + observed.error;
  return {low <= 0 ? -largest_hidden(samples, -1, -low, storage) : low,
          high >= 0 ? largest_hidden(samples, 1, high, storage) : high};
}

StrengthRange range_before_mean_loss(const StrengthEstimate& observed, Storage storage) {
  const double step = spacing_of(dtype_of(storage));
  const double gain = 1 / (1 - step * step / (32 * std::log(2)));
  const double low = observed.strength - observed.error, high = observed.strength + observed.error;
  return {std::min(low, low * gain), std::max(high, high * gain)};
}

}  // namespace fourstep
