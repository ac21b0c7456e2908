#include "base/image_noise.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/error.h"

namespace fourstep {

namespace {

constexpr int64_t kPixelsPerLatent = 8;

bool is_resized(const ImageSeed& seed, const Shape& shape) {
  return seed.resize_from_width > 0 && seed.resize_from_height > 0 &&
         (shape[2] != seed.resize_from_height / kPixelsPerLatent ||
          shape[3] != seed.resize_from_width / kPixelsPerLatent);
}

void check_seed(const ImageSeed& seed) {
  constexpr int64_t kMaxSide = 16384;
  if (!(seed.variation_strength >= 0 && seed.variation_strength <= 1)) {
    throw InvalidRequest("variation strength {}, expected a number from 0 to 1",
                         seed.variation_strength);
  }
  for (const int64_t side : {seed.resize_from_width, seed.resize_from_height}) {
    if (side != 0 && (side < kPixelsPerLatent || side > kMaxSide)) {
      throw InvalidRequest("a seed resized from a side of {} px, expected 0 or {} to {}", side,
                           kPixelsPerLatent, kMaxSide);
    }
  }
}

/// Where a length lies centred in another: from `source_start` to `target_start`, `length` long.
struct Overlap {
  int64_t source_start, target_start, length;
};
Overlap centred(int64_t source, int64_t target) {
  const int64_t excess = source - target;
  if (excess <= 0) return {0, -excess / 2, source};
  const int64_t cut = (excess + 1) / 2;  // at either end: an odd excess loses one more, as there
  return {cut, 0, source - 2 * cut};
}

/// noise: [1,C,h',w'] laid on the middle of canvas: [1,C,h,w].
Tensor pasted(const Tensor& noise, Tensor canvas) {
  const Overlap y = centred(noise.size(2), canvas.size(2));
  const Overlap x = centred(noise.size(3), canvas.size(3));
  canvas.narrow(2, y.target_start, y.length)
      .narrow(3, x.target_start, x.length)
      .copy_(noise.narrow(2, y.source_start, y.length).narrow(3, x.source_start, x.length));
  return canvas;
}

Tensor varied(const ImageSeed& seed, const Tensor& noise) {
  if (seed.variation_strength == 0) return noise;
  const Tensor other = make_noise(seed.origin, seed.variation_seed)(shape_of(noise));
  return slerp(seed.variation_strength, noise, other);
}

/// The image's first noise; `stream` is its generator, of which one draw is taken.
Tensor initial_noise(const ImageSeed& seed, const Shape& shape, const NoiseSource& stream) {
  const bool is_plain = seed.variation_strength == 0 && seed.resize_from_width == 0;
  if (!is_plain && (shape.size() != 4 || shape[0] != 1)) {
    throw Error("make_image_noise: shape {} for a varied or resized seed, expected [1,C,h,w]",
                to_string(shape));
  }
  if (is_plain || !is_resized(seed, shape)) return varied(seed, stream(shape));
  Shape small = shape;
  small[2] = seed.resize_from_height / kPixelsPerLatent;
  small[3] = seed.resize_from_width / kPixelsPerLatent;
  return pasted(varied(seed, make_noise(seed.origin, seed.seed)(small)), stream(shape));
}

}  // namespace

NoiseSource make_noise(NoiseOrigin origin, uint64_t seed) {
  return origin == NoiseOrigin::kPhilox ? make_philox_noise(seed) : make_torch_noise(seed);
}

NoiseSource make_image_noise(const ImageSeed& seed) {
  check_seed(seed);
  const NoiseSource first = make_noise(seed.origin, seed.seed);
  const NoiseSource later =
      seed.ensd == 0 ? first
                     : make_noise(seed.origin, seed.seed + static_cast<uint64_t>(seed.ensd));
  const auto is_first = std::make_shared<bool>(true);  // shared, so that copies continue one stream
  return [=](const Shape& shape) {
    return std::exchange(*is_first, false) ? initial_noise(seed, shape, first) : later(shape);
  };
}

NoiseSource make_image_noise(std::span<const ImageSeed> seeds) {
  std::vector<NoiseSource> sources;
  for (const ImageSeed& seed : seeds) sources.push_back(make_image_noise(seed));
  return make_batch_noise(std::move(sources));
}

std::vector<ImageSeed> batch_seeds(const ImageSeed& first, int64_t count) {
  std::vector<ImageSeed> seeds;
  for (int64_t i = 0; i < count; ++i) {
    ImageSeed seed = first;
    (first.variation_strength == 0 ? seed.seed : seed.variation_seed) += static_cast<uint64_t>(i);
    seeds.push_back(seed);
  }
  return seeds;
}

Tensor slerp(double weight, const Tensor& low, const Tensor& high) {
  constexpr double kParallel = 0.9995;
  constexpr int64_t kHeight = -2;
  const auto unit = [](const Tensor& x) { return x / x.norm(2, {kHeight}, /*keepdim=*/true); };
  const Tensor cosine = (unit(low) * unit(high)).sum({kHeight}, /*keepdim=*/true);
  if (cosine.mean().item<double>() > kParallel) return low * weight + high * (1 - weight);
  // Clamped, as rounding may exceed 1; parallel columns among others have no arc: mixed linearly.
  const Tensor angle = cosine.clamp(-1, 1).acos(), sine = angle.sin();
  const auto share = [&](double part) {
    return at::where(sine == 0, at::full_like(sine, part), (angle * part).sin() / sine);
  };
  return share(1 - weight) * low + share(weight) * high;
}

}  // namespace fourstep
