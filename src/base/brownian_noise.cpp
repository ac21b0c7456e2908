#include "base/brownian_noise.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/seed_sequence.h"

namespace fourstep {

namespace {

/// An interval of the path, found by halving `depth` times; key: its number among those of its depth.
struct Node {
  double low, high;
  uint64_t key;
  uint64_t depth;
  Tensor increment;  ///< how far the path moves within it
};

/// To six decimals, as Python rounds: half-way cases by the number's exact value.
double rounded(double value) {
  std::array<char, 400> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value,
                                 std::chars_format::fixed, /*precision=*/6)
                       .ptr;
  double result = value;
  std::from_chars(text.data(), end, result);
  return result;
}

Tensor normal_of_node(const BrownianPath& path, std::vector<uint64_t> spawn_key,
                      const Shape& shape) {
  constexpr size_t kPoolSize = 24;
  const uint32_t seed = seed_words({path.seed, std::move(spawn_key), kPoolSize}, 1).front();
  return path.make_noise(seed)(shape);
}

/// The two halves of a node: the middle of the path given its ends is a Brownian bridge.
std::pair<Node, Node> halves(const BrownianPath& path, const Node& node, double middle) {
  const double left = middle - node.low, right = node.high - middle, length = node.high - node.low;
  const Tensor normal = normal_of_node(path, {node.key, node.depth}, shape_of(node.increment));
  const Tensor increment =
      node.increment * (left / length) + normal * std::sqrt(left * right / length);
  return {Node{node.low, middle, 2 * node.key, node.depth + 1, increment},
          Node{middle, node.high, 2 * node.key + 1, node.depth + 1, node.increment - increment}};
}

/// Adds to `sum` how far the path moves between low and high, piece by piece from below.
void add_pieces(const BrownianPath& path, const Node& node, double low, double high, Tensor& sum) {
  const double middle = rounded((node.low + node.high) / 2);
  const bool is_covered = low <= node.low && high >= node.high;
  if (is_covered || middle <= node.low || middle >= node.high) {
    sum = sum.defined() ? sum + node.increment : node.increment;
    return;
  }
  const auto [left, right] = halves(path, node, middle);
  if (low < middle) add_pieces(path, left, low, high, sum);
  if (high > middle) add_pieces(path, right, low, high, sum);
}

void check_query(const BrownianPath& path, double sigma, double sigma_next) {
  if (!(std::isfinite(path.sigma_max) && path.sigma_max > path.sigma_min && path.sigma_min >= 0)) {
    throw Error("brownian_noise: a path from sigma {} to {}, expected falling finite numbers",
                path.sigma_max, path.sigma_min);
  }
  if (!(std::isfinite(sigma) && sigma > sigma_next && sigma_next >= 0)) {
    throw Error("brownian_noise: a step from sigma {} to {}, expected falling finite numbers",
                sigma, sigma_next);
  }
}

}  // namespace

Tensor brownian_noise(const BrownianPath& path, const Shape& shape, double sigma,
                      double sigma_next) {
  check_query(path, sigma, sigma_next);
  const double lowest = rounded(path.sigma_min), highest = rounded(path.sigma_max);
  const double low = rounded(std::clamp(sigma_next, lowest, highest));
  const double high = rounded(std::clamp(sigma, lowest, highest));
  if (low >= high) return at::zeros(shape, at::kFloat);
  const Tensor whole = normal_of_node(path, {}, shape) * std::sqrt(highest - lowest);
  Tensor sum;
  add_pieces(path, Node{lowest, highest, 0, 0, whole}, low, high, sum);
  return sum *
         (-1 / std::sqrt(sigma - sigma_next));  // the path runs from low to high, the step down
}

Tensor brownian_noise(std::span<const BrownianPath> paths, const Shape& shape, double sigma,
                      double sigma_next) {
  if (shape.empty() || shape[0] != static_cast<int64_t>(paths.size()) || paths.empty()) {
    throw Error("brownian_noise: shape {} for {} paths; the first dimension must be their number",
                to_string(shape), paths.size());
  }
  Shape one = shape;
  one[0] = 1;
  std::vector<Tensor> images;
  for (const BrownianPath& path : paths) {
    images.push_back(brownian_noise(path, one, sigma, sigma_next));
  }
  return at::cat(images);
}

}  // namespace fourstep
