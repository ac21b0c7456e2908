#include "nets/tiles.h"

#include "base/error.h"
#include "nets_golden.h"

namespace fourstep {
namespace {

using namespace testing;

TEST(Tiles, AMapOfShortReachGivesTheSameAsOnTheWhole) {
  const Tensor x = seeded_randn({2, 3, 21, 34}, 1);
  const Tensor kernel = seeded_randn({5, 3, 3, 3}, 2);
  const auto map = [&](const Tensor& tile) {  // reach 2 cells: a quarter of the overlap
    const Tensor h =
        at::conv2d(at::conv2d(tile, kernel, {}, 1, 1).narrow(1, 0, 3), kernel, {}, 1, 1);
    return at::upsample_nearest2d(h, {2 * tile.size(2), 2 * tile.size(3)});
  };
  const Tensor tiled = map_tiles(x, {.tile = 16, .overlap = 8}, {.numerator = 2}, map);
  EXPECT_LE(max_error(tiled, map(x)), 1e-6);
}

TEST(Tiles, ShrinkingMapsAreTiledToo) {
  const Tensor x = seeded_randn({1, 2, 40, 24}, 1);
  const auto map = [](const Tensor& tile) { return at::avg_pool2d(tile, {4, 4}); };
  const Tensor tiled = map_tiles(x, {.tile = 16, .overlap = 8}, {.denominator = 4}, map);
  EXPECT_LE(max_error(tiled, map(x)), 1e-6);
}

TEST(Tiles, NoTileIsLargerThanAskedAndASmallInputIsPassedWhole) {
  int64_t calls = 0;
  const auto map = [&](const Tensor& tile) {
    ++calls;
    EXPECT_LE(std::max(tile.size(2), tile.size(3)), 8);
    return tile;
  };
  map_tiles(torch::zeros({1, 1, 8, 5}), {.tile = 8, .overlap = 2}, {}, map);
  EXPECT_EQ(calls, 1);
  const Tensor x = seeded_randn({1, 1, 20, 8}, 1);
  const Tensor tiled = map_tiles(x, {.tile = 8, .overlap = 0}, {}, map);
  EXPECT_TRUE(torch::allclose(tiled, x));
}

TEST(Tiles, KeepsTheDtypeOfTheInput) {
  const Tensor x = torch::zeros({1, 1, 9, 9}, torch::kBFloat16);
  const auto same = [](const Tensor& tile) { return tile; };
  EXPECT_EQ(map_tiles(x, {.tile = 8, .overlap = 4}, {}, same).scalar_type(), torch::kBFloat16);
}

TEST(Tiles, RefusesWhatDoesNotFit) {
  const Tensor x = torch::zeros({1, 1, 12, 12});
  const auto same = [](const Tensor& tile) { return tile; };
  EXPECT_THROW(map_tiles(x, {.tile = 8, .overlap = 8}, {}, same), Error);
  EXPECT_THROW(map_tiles(x, {.tile = 0, .overlap = 0}, {}, same), Error);
  EXPECT_THROW(map_tiles(x, {.tile = 8, .overlap = 4}, {.denominator = 8}, same), Error);
}

}  // namespace
}  // namespace fourstep
