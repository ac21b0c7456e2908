#include "pipeline/trained_sizes.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace fourstep {

namespace {

constexpr int64_t kSdxlSide = 1024;

constexpr auto kBuckets = std::to_array<ImageSize>(
    {{512, 2048}, {512, 1984}, {512, 1920}, {512, 1856}, {576, 1792}, {576, 1728},  {576, 1664},
     {640, 1600}, {640, 1536}, {704, 1472}, {704, 1408}, {768, 1344}, {768, 1280},  {832, 1216},
     {832, 1152}, {896, 1152}, {896, 1088}, {960, 1088}, {960, 1024}, {1024, 1024}, {1024, 960},
     {1088, 960}, {1088, 896}, {1152, 896}, {1152, 832}, {1216, 832}, {1280, 768},  {1344, 768},
     {1344, 704}, {1408, 704}, {1472, 704}, {1536, 640}, {1600, 640}, {1664, 576},  {1728, 576},
     {1792, 576}, {1856, 512}, {1920, 512}, {1984, 512}, {2048, 512}});

double log_shape(const ImageSize& size) {
  return std::log(static_cast<double>(size.width) / static_cast<double>(size.height));
}

}  // namespace

std::span<const ImageSize> sdxl_buckets() { return kBuckets; }

ImageSize nearest_trained_size(ImageSize size, int64_t native_side) {
  if (native_side != kSdxlSide) return {native_side, native_side};
  const auto distance = [&](const ImageSize& bucket) {
    return std::abs(log_shape(bucket) - log_shape(size));
  };
  return *std::min_element(
      kBuckets.begin(), kBuckets.end(),
      [&](const ImageSize& a, const ImageSize& b) { return distance(a) < distance(b); });
}

double largest_megapixels(int64_t native_side) {
  constexpr double kSdxl = 1.05, kOthers = 1.5;
  if (native_side == kSdxlSide) return kSdxl;
  return kOthers * ImageSize{native_side, native_side}.megapixels();
}

}  // namespace fourstep
