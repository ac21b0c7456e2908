#include "evaluate/augment.h"

namespace fourstep {

namespace {

constexpr double kContrast = 0.2, kBrightness = 0.12, kBalance = 0.06, kNoise = 0.12;
constexpr double kSharpest = -1.0 / 3, kSoftest = 1;

}  // namespace

Tensor augment_pictures(const Tensor& pictures, const RandomKey& key) {
  const int64_t count = pictures.size(0);
  // Seven numbers per picture, 0..1.
  const Tensor numbers = draw_uniform(key, 7 * count).view({count, 7, 1, 1});
  const auto between = [&](int64_t which, int64_t how_many, double low, double high) {
    return numbers.narrow(1, which, how_many) * (high - low) + low;
  };
  const Tensor blurred = at::avg_pool2d(at::replication_pad2d(pictures, {1, 1, 1, 1}), 3, 1);
  Tensor x = pictures + (blurred - pictures) * between(0, 1, kSharpest, kSoftest);
  x = x * between(1, 1, 1 - kContrast, 1 + kContrast) + between(2, 1, -kBrightness, kBrightness) +
      between(3, 3, -kBalance, kBalance);
  const RandomKey noise_key{hash_of(key), "noise", key.iteration};
  x = x + draw_normal(noise_key, shape_of(pictures)) * between(6, 1, 0, kNoise);
  return x.clamp(-1, 1);
}

}  // namespace fourstep
