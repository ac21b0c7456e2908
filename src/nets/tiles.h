#pragma once
// A map from picture to picture, applied to overlapping tiles whose results are blended: bounded
// memory for any size.

#include <cstdint>
#include <functional>

#include "base/tensor.h"

namespace fourstep {

struct Tiling {
  int64_t tile = 64;     ///< side of a tile, in cells of the input
  int64_t overlap = 16;  ///< cells shared by neighbouring tiles; 0 <= overlap < tile
};

/// Output size = input size * numerator / denominator: {8, 1} for a VAE's decoder, {1, 8} for an
/// encoder.
struct TileScale {
  int64_t numerator = 1, denominator = 1;
};

/// Applies `map` ([B,C,h,w] -> [B,C',h*s,w*s]) to tiles of x: [B,C,h,w] and blends: over the middle
/// half of an overlap one tile's weight falls linearly from one to zero while its neighbour's
/// rises; the outer quarter, where a tile does not see its surroundings, counts nothing. A map that
/// reaches no further than a quarter of the overlap so gives the same result as applied to the
/// whole. An input no larger than a tile is passed whole. Returns [B,C',h*s,w*s], dtype of what
/// `map` returns; the sums are made in fp32.
/// Throws Error when tiling or sizes do not fit the scale.
Tensor map_tiles(const Tensor& x, const Tiling& tiling, const TileScale& scale,
                 const std::function<Tensor(const Tensor&)>& map);

}  // namespace fourstep
