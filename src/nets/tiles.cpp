#include "nets/tiles.h"

#include "base/error.h"

namespace fourstep {

namespace {

/// First cells of the tiles along one side; the last tile ends at the border.
std::vector<int64_t> tile_starts(int64_t length, const Tiling& tiling) {
  std::vector<int64_t> starts{0};
  while (starts.back() + tiling.tile < length) {
    const int64_t next = starts.back() + tiling.tile - tiling.overlap;
    starts.push_back(std::min(next, length - tiling.tile));
  }
  return starts;
}

/// Weights of the tile [start, start + length) of [0, total) along one side, all in output pixels;
/// no ramp where the tile ends with the picture.
Tensor ramp_weights(int64_t start, int64_t length, int64_t total, double overlap) {
  const Tensor pixels = at::arange(length, torch::kFloat32) + 0.5;
  const auto ramp = [overlap](const Tensor& distance) {
    return ((distance - overlap / 4) / (overlap / 2)).clamp(0, 1);
  };
  Tensor weights = torch::ones({length});
  if (overlap == 0) return weights;
  if (start > 0) weights = ramp(pixels);
  if (start + length < total) weights = weights * ramp(length - pixels);
  return weights;
}

void check_tiling(const Tensor& x, const Tiling& tiling, const TileScale& scale) {
  if (tiling.tile <= 0 || tiling.overlap < 0 || tiling.overlap >= tiling.tile) {
    throw Error("map_tiles: tile {} with overlap {}, expected 0 <= overlap < tile", tiling.tile,
                tiling.overlap);
  }
  for (const int64_t length : {tiling.tile, tiling.overlap, x.size(2), x.size(3)}) {
    if (length % scale.denominator != 0) {
      throw Error("map_tiles: length {}, expected a multiple of {}", length, scale.denominator);
    }
  }
}

}  // namespace

Tensor map_tiles(const Tensor& x, const Tiling& tiling, const TileScale& scale,
                 const std::function<Tensor(const Tensor&)>& map) {
  check_shape(x, {-1, -1, -1, -1}, "map_tiles: x");
  check_tiling(x, tiling, scale);
  const auto scaled = [&](int64_t n) { return n * scale.numerator / scale.denominator; };
  const int64_t height = std::min(tiling.tile, x.size(2)), width = std::min(tiling.tile, x.size(3));
  if (height == x.size(2) && width == x.size(3)) return map(x);

  const Shape out_size{scaled(x.size(2)), scaled(x.size(3))};
  const double overlap = scaled(tiling.overlap);
  const Tensor total = torch::zeros(out_size, x.options().dtype(torch::kFloat32));
  Tensor sum, out;
  for (const int64_t top : tile_starts(x.size(2), tiling)) {
    const Tensor rows =
        ramp_weights(scaled(top), scaled(height), out_size[0], overlap).unsqueeze(1);
    for (const int64_t left : tile_starts(x.size(3), tiling)) {
      const Tensor columns = ramp_weights(scaled(left), scaled(width), out_size[1], overlap);
      const Tensor weight = (rows * columns).to(x.device());
      const auto window = [&](const Tensor& t) {
        return t.narrow(-2, scaled(top), scaled(height)).narrow(-1, scaled(left), scaled(width));
      };
      out = map(x.narrow(2, top, height).narrow(3, left, width));
      if (!sum.defined()) {
        sum = torch::zeros({out.size(0), out.size(1), out_size[0], out_size[1]}, total.options());
      }
      window(sum).add_(out * weight);
      window(total).add_(weight);
    }
  }
  return (sum / total).to(out.scalar_type());
}

}  // namespace fourstep
