#include "workbench/storage.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/fields.h"
#include "base/parallel.h"
#include "base/scaled_weight.h"
#include "lora/fuse.h"

namespace fourstep {

namespace {

constexpr float kLargestFp8 = 448;  // e4m3fn
constexpr int64_t kGrain = 1 << 16;

/// The grid of a floating type: bits behind the leading one, and the exponent below which spacing
/// is constant.
struct Grid {
  int mantissa_bits = 0, smallest_exponent = 0;
};

Grid grid_of(torch::ScalarType dtype) {
  switch (dtype) {
    case torch::kHalf:
      return {10, -14};
    case torch::kBFloat16:
      return {7, -126};
    case torch::kFloat8_e4m3fn:
      return {3, -6};
    default:
      throw Error("stored: weights cannot be rounded at random to {}", c10::toString(dtype));
  }
}

/// SplitMix64 (Steele, Lea, Flood 2014: Fast splittable pseudorandom number generators): the number
/// at position `index` of the stream of `seed`.
uint64_t random_word(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

/// `value` on the grid, its magnitude down or up with the probability of its place between the two
/// neighbours. In the normal range adding random bits below the last kept one does that; below it,
/// spacing is constant.
float round_at_random(float value, const Grid& grid, uint32_t random) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const int exponent = static_cast<int>(bits >> 23 & 0xFF) - 127;
  const uint32_t dropped = (1U << (23 - grid.mantissa_bits)) - 1;
  if (exponent == 128) return value;  // infinite or NaN
  if (exponent >= grid.smallest_exponent) {
    return std::bit_cast<float>((bits + (random & dropped)) & ~dropped);
  }
  const float spacing = std::ldexp(1.F, grid.smallest_exponent - grid.mantissa_bits);
  const float chance = static_cast<float>(random >> 8) * 0x1p-24F;
  return std::copysign(std::floor(std::abs(value) / spacing + chance) * spacing, value);
}

Tensor rounded_at_random(const Tensor& values, const Grid& grid, uint64_t seed) {
  Tensor out = torch::empty_like(values);
  const float* from = values.const_data_ptr<float>();
  float* to = out.mutable_data_ptr<float>();
  parallel_for(values.numel(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const uint64_t word = random_word(seed, static_cast<uint64_t>(i));
      to[i] = round_at_random(from[i], grid, static_cast<uint32_t>(word >> 32));
    }
  });
  return out;
}

Tensor limited(const Tensor& values, torch::ScalarType dtype) {
  return dtype == torch::kFloat8_e4m3fn ? values.clamp(-kLargestFp8, kLargestFp8) : values;
}

/// One scale per row. Rows of zeros have none and stay zero.
Tensor as_int8(const Tensor& values) {
  const Tensor rows = values.flatten(1);
  const Tensor scale = rows.abs().amax(1, /*keepdim=*/true).clamp_min(1e-30) / 127;
  return (rows.div(scale).round_() * scale).view(values.sizes());
}

}  // namespace

const char* to_string(Storage storage) {
  constexpr const char* kNames[] = {"fp32", "fp16", "bf16", "fp8", "int8"};
  return kNames[static_cast<int>(storage)];
}

Storage storage_from_text(const char* flag, const std::string& word) {
  check_word(flag, word, {"fp32", "fp16", "bf16", "fp8"});
  for (const Storage storage : {Storage::kFp32, Storage::kFp16, Storage::kBf16}) {
    if (word == to_string(storage)) return storage;
  }
  return Storage::kFp8;
}

std::optional<Storage> storage_of(torch::ScalarType dtype) {
  switch (dtype) {
    case torch::kFloat:
      return Storage::kFp32;
    case torch::kHalf:
      return Storage::kFp16;
    case torch::kBFloat16:
      return Storage::kBf16;
    case torch::kFloat8_e4m3fn:
      return Storage::kFp8;
    default:
      return std::nullopt;
  }
}

torch::ScalarType dtype_of(Storage storage) {
  constexpr torch::ScalarType kTypes[] = {torch::kFloat, torch::kHalf, torch::kBFloat16,
                                          torch::kFloat8_e4m3fn};
  if (storage == Storage::kInt8) throw Error("int8 weights cannot be written");
  return kTypes[static_cast<int>(storage)];
}

double spacing_of(torch::ScalarType type) {
  switch (type) {
    case torch::kHalf:
      return std::numeric_limits<c10::Half>::epsilon();
    case torch::kBFloat16:
      return std::numeric_limits<c10::BFloat16>::epsilon();
    case torch::kFloat8_e4m3fn:
      return std::numeric_limits<c10::Float8_e4m3fn>::epsilon();
    case torch::kFloat8_e5m2:
      return std::numeric_limits<c10::Float8_e5m2>::epsilon();
    case torch::kFloat:
      return std::numeric_limits<float>::epsilon();
    default:
      return std::numeric_limits<double>::epsilon();
  }
}

torch::ScalarType stored_dtype(const Tensor& tensor, std::optional<Component> component,
                               std::optional<Storage> wanted) {
  if (!wanted || !at::isFloatingType(tensor.scalar_type())) return tensor.scalar_type();
  const bool is_weight = tensor.dim() >= 2 && component && *component != Component::kVae;
  return *wanted == Storage::kFp8 && !is_weight ? torch::kHalf : dtype_of(*wanted);
}

Tensor stored(const Tensor& values, torch::ScalarType dtype, StorageRounding rounding,
              uint64_t seed) {
  const bool is_random = rounding == StorageRounding::kStochastic && dtype != torch::kFloat;
  const Tensor rounded = is_random ? rounded_at_random(values, grid_of(dtype), seed) : values;
  return limited(rounded, dtype).to(dtype);
}

Tensor as_stored(const Tensor& values, Storage storage) {
  if (storage == Storage::kInt8) return as_int8(values);
  return stored(values, dtype_of(storage), StorageRounding::kNearest, 0).to(torch::kFloat);
}

uint64_t seed_of_tensor(uint64_t seed, const std::string& name) {
  uint64_t hash = 0xCBF29CE484222325ULL ^ seed;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return hash;
}

void check_overflow(const Tensor& values, const std::string& name,
                    const std::filesystem::path& file) {
  if (values.scalar_type() != torch::kHalf || values.numel() == 0) return;
  const auto [least, most] = at::aminmax(values);
  if (std::isfinite(least.item<float>()) && std::isfinite(most.item<float>())) return;
  throw Error(
      "\"{}\" of \"{}\" is beyond fp16's largest value (65504) or NaN; use --dtype bf16 or fp32, "
      "or "
      "smaller weights",
      name, file.string());
}

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
