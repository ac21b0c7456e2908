#include "emoji/draw.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

// Plain loops in a fixed order rather than tensor operations: the pixels are the same on all
// machines.
namespace fourstep {
namespace {

constexpr int64_t kGlyphChannels = 4;

float in_image_range(uint8_t value) { return static_cast<float>(value) / 255 * 2 - 1; }

/// The share of the second colour at position i of an axis.
float second_share(const Background& background, int64_t i, int64_t side) {
  switch (background.kind) {
    case BackgroundKind::kPlain:
      return 0;
    case BackgroundKind::kGradient:
      return side > 1 ? static_cast<float>(i) / static_cast<float>(side - 1) : 0;
    case BackgroundKind::kTwoTone:
      return 2 * i < side ? 0 : 1;
  }
  return 0;
}

/// What one pixel of the picture takes along one axis of the glyph.
struct Taps {
  int64_t first = 0;  ///< index of the glyph's row or column
  std::vector<float> weights;
};

/// For each pixel of an axis of the picture. A glyph of `count` pixels reaches from `start` over
/// `length`, both in pixels of the picture.
std::vector<Taps> make_taps(int64_t count, double start, double length, int64_t side) {
  const double step = static_cast<double>(count) / length;  // glyph pixels per picture pixel
  const double half = std::max(step, 1.0) / 2;
  std::vector<Taps> taps(side);
  for (int64_t i = 0; i < side; ++i) {
    const double middle = (static_cast<double>(i) + 0.5 - start) * step;
    const double begin = middle - half, end = middle + half;
    const auto first = std::max<int64_t>(0, static_cast<int64_t>(std::floor(begin)));
    const auto last = std::min<int64_t>(count, static_cast<int64_t>(std::ceil(end)));
    taps[i].first = first;
    for (int64_t j = first; j < last; ++j) {
      const double overlap = std::min<double>(end, j + 1) - std::max<double>(begin, j);
      taps[i].weights.push_back(static_cast<float>(overlap / (2 * half)));
    }
  }
  return taps;
}

/// One row of the picture: the weighted sum of glyph rows, [w,4] in 0..255.
std::vector<float> blend_rows(const Taps& taps, const uint8_t* glyph, int64_t row_length) {
  std::vector<float> row(row_length, 0);
  for (size_t j = 0; j < taps.weights.size(); ++j) {
    const uint8_t* from = glyph + (taps.first + static_cast<int64_t>(j)) * row_length;
    for (int64_t k = 0; k < row_length; ++k) row[k] += taps.weights[j] * from[k];
  }
  return row;
}

/// One pixel: RGB in 0..2 (the image's range, from its lowest value), alpha in 0..1.
std::array<float, kGlyphChannels> blend_columns(const Taps& taps, const std::vector<float>& row) {
  std::array<float, kGlyphChannels> sum = {};
  for (size_t j = 0; j < taps.weights.size(); ++j) {
    const float* from = &row[(taps.first + static_cast<int64_t>(j)) * kGlyphChannels];
    for (int64_t c = 0; c < kGlyphChannels; ++c) sum[c] += taps.weights[j] * from[c];
  }
  for (int64_t c = 0; c < kGlyphChannels; ++c) sum[c] *= (c < 3 ? 2.0F : 1.0F) / 255;
  return sum;
}

}  // namespace

Tensor draw_background(const Background& background, int64_t side) {
  const auto& from = background_colors()[background.color].rgb;
  const auto& to = background_colors()[background.color_2].rgb;
  const Tensor image = torch::empty({3, side, side}, torch::kFloat);
  auto* pixel = image.mutable_data_ptr<float>();
  for (int64_t c = 0; c < 3; ++c) {
    const float start = in_image_range(from[c]), end = in_image_range(to[c]);
    for (int64_t y = 0; y < side; ++y) {
      for (int64_t x = 0; x < side; ++x) {
        const float share = second_share(background, background.is_vertical ? y : x, side);
        *pixel++ = start * (1 - share) + end * share;
      }
    }
  }
  return image;
}

void paint_glyph(const Tensor& image, const Tensor& glyph, const Placed& placed) {
  check_shape(image, {3, image.size(-1), image.size(-1)}, "paint_glyph: image");
  check_shape(glyph, {-1, -1, kGlyphChannels}, "paint_glyph: glyph");
  const int64_t side = image.size(2), rows = glyph.size(0), columns = glyph.size(1);
  const double height = placed.size * static_cast<double>(side);
  const double width = height * static_cast<double>(columns) / static_cast<double>(rows);
  const Tensor source = (placed.is_mirrored ? glyph.flip(1) : glyph).contiguous();
  const auto x_taps = make_taps(columns, placed.center_x * side - width / 2, width, side);
  const auto y_taps = make_taps(rows, placed.center_y * side - height / 2, height, side);
  auto* pixels = image.mutable_data_ptr<float>();
  for (int64_t y = 0; y < side; ++y) {
    if (y_taps[y].weights.empty()) continue;
    const std::vector<float> row =
        blend_rows(y_taps[y], source.const_data_ptr<uint8_t>(), columns * kGlyphChannels);
    for (int64_t x = 0; x < side; ++x) {
      const auto color = blend_columns(x_taps[x], row);
      for (int64_t c = 0; c < 3; ++c) {
        float& pixel = pixels[(c * side + y) * side + x];
        // The change is added, so that nothing moves where the glyph is transparent.
        pixel = std::clamp(pixel + (color[c] - color[3] * (pixel + 1)), -1.0F, 1.0F);
      }
    }
  }
}

Tensor draw_scene(const Scene& scene, std::span<const Emoji> emoji, const GlyphSource& glyph,
                  int64_t side) {
  const Tensor image = draw_background(scene.background, side);
  paint_glyph(image, glyph(emoji[scene.first.emoji].code), scene.first);
  if (scene.second) {
    paint_glyph(image, glyph(emoji[scene.second->emoji].code), *scene.second);
  }
  return image;
}

}  // namespace fourstep
