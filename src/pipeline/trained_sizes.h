#pragma once
// The sizes that models were trained at, for people who ask for others.

#include <cstdint>
#include <span>

namespace fourstep {

/// In pixels.
struct ImageSize {
  int64_t width = 0, height = 0;

  double megapixels() const { return static_cast<double>(width * height) * 1e-6; }
  bool operator==(const ImageSize&) const = default;
};

/// The 40 sizes of SDXL's training, from 512x2048 to 2048x512. Source: Podell et al. 2023 (2307.01952), appendix I,
/// whose table has the height first: 1344x704 is one of them, 704x1344 is none.
std::span<const ImageSize> sdxl_buckets();

/// The trained size whose shape (the logarithm of width over height) is nearest to `size`; of a model with
/// another native side than SDXL's 1024 px its square. size: sides above 0.
ImageSize nearest_trained_size(ImageSize size, int64_t native_side);

/// The most pixels that come out as one scene: 1.05 megapixels of SDXL, beyond which subjects double; of
/// models with another native side half as much again as its square, which admits 512x768 of SD 1.5.
double largest_megapixels(int64_t native_side);

}  // namespace fourstep
