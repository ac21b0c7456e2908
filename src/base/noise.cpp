#include "base/noise.h"

#include <ATen/CPUGeneratorImpl.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"

namespace fourstep {

namespace {

/// A hash whose constant changes with every word it takes.
struct Hash {
  uint32_t constant, multiplier;

  uint32_t operator()(uint32_t word) {
    word ^= constant;
    constant *= multiplier;
    word *= constant;
    return word ^ (word >> 16);
  }
};

uint32_t mix(uint32_t kept, uint32_t added) {
  const uint32_t mixed = 0xCA01F9DD * kept - 0x4973F715 * added;
  return mixed ^ (mixed >> 16);
}

/// The 32-bit words of a number, lowest first; one word for 0.
void append_words(std::vector<uint32_t>& words, uint64_t number) {
  words.push_back(static_cast<uint32_t>(number));
  if (number >> 32) words.push_back(static_cast<uint32_t>(number >> 32));
}

std::vector<uint32_t> entropy_words(const SeedSequence& sequence) {
  std::vector<uint32_t> words;
  append_words(words, sequence.entropy);
  // Padded, so that entropy and key cannot run into each other.
  if (!sequence.spawn_key.empty()) words.resize(std::max(words.size(), sequence.pool_size));
  for (const uint64_t number : sequence.spawn_key) append_words(words, number);
  return words;
}

std::vector<uint32_t> mixed_pool(const SeedSequence& sequence) {
  std::vector<uint32_t> words = entropy_words(sequence);
  words.resize(std::max(words.size(), sequence.pool_size));
  Hash hash{0x43B0D7E5, 0x931E8875};
  std::vector<uint32_t> pool;
  for (size_t i = 0; i < sequence.pool_size; ++i) pool.push_back(hash(words[i]));
  for (size_t from = 0; from < pool.size(); ++from) {
    for (size_t to = 0; to < pool.size(); ++to) {
      if (from != to) pool[to] = mix(pool[to], hash(pool[from]));
    }
  }
  for (size_t from = pool.size(); from < words.size(); ++from) {
    for (uint32_t& word : pool) word = mix(word, hash(words[from]));
  }
  return pool;
}

}  // namespace

std::vector<uint32_t> seed_words(const SeedSequence& sequence, size_t count) {
  constexpr size_t kMinPool = 4;
  if (sequence.pool_size < kMinPool) {
    throw Error("seed_words: a pool of {} words, expected at least {}", sequence.pool_size,
                kMinPool);
  }
  const std::vector<uint32_t> pool = mixed_pool(sequence);
  Hash hash{0x8B51F9DD, 0x58F38DED};
  std::vector<uint32_t> words;
  for (size_t i = 0; i < count; ++i) words.push_back(hash(pool[i % pool.size()]));
  return words;
}

NoiseSource make_torch_noise(uint64_t seed) {
  const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  return [generator](const Shape& shape) {
    return at::randn(shape, generator, at::TensorOptions().dtype(at::kFloat).device(at::kCPU));
  };
}

namespace {

uint32_t low(uint64_t value) { return static_cast<uint32_t>(value); }
uint32_t high(uint64_t value) { return static_cast<uint32_t>(value >> 32); }

/// One standard normal number out of two words (Box-Muller, the sine half). The scale factors are
/// rounded to float32 as in the programs whose numbers these are; the rest is double.
float normal_from_words(uint32_t radius_word, uint32_t angle_word) {
  constexpr float kUniform = 0x1p-32f;
  constexpr float kAngle = static_cast<float>(2.3283064e-10 * 6.2831855);
  const double u = radius_word * double{kUniform} + double{kUniform} / 2;
  const double angle = angle_word * double{kAngle} + double{kAngle} / 2;
  return static_cast<float>(std::sqrt(-2 * std::log(u)) * std::sin(angle));
}

}  // namespace

std::array<uint32_t, 4> philox_words(uint64_t seed, uint32_t draw, uint32_t element) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  constexpr int kRounds = 10;
  std::array<uint32_t, 4> c = {draw, 0, element, 0};
  uint32_t key0 = low(seed), key1 = high(seed);
  for (int round = 0; round < kRounds; ++round, key0 += kWeyl0, key1 += kWeyl1) {
    const uint64_t product0 = kMultiplier0 * c[0], product1 = kMultiplier1 * c[2];
    c = {high(product1) ^ c[1] ^ key0, low(product1), high(product0) ^ c[3] ^ key1, low(product0)};
  }
  return c;
}

NoiseSource make_philox_noise(uint64_t seed) {
  const auto next_draw =
      std::make_shared<uint32_t>(0);  // shared, so that copies continue one stream
  return [seed, next_draw](const Shape& shape) {
    const uint32_t draw = (*next_draw)++;
    const Tensor noise = at::empty(shape, at::kFloat);
    float* values = noise.mutable_data_ptr<float>();
    for (int64_t i = 0; i < noise.numel(); ++i) {
      const auto words = philox_words(seed, draw, static_cast<uint32_t>(i));
      values[i] = normal_from_words(words[0], words[1]);
    }
    return noise;
  };
}

NoiseSource make_batch_noise(std::vector<NoiseSource> sources) {
  return [sources = std::move(sources)](const Shape& shape) {
    if (shape.empty() || shape[0] != static_cast<int64_t>(sources.size())) {
      throw Error(
          "make_batch_noise: asked for noise of shape {} from {} noise sources; the first "
          "dimension must be their number",
          to_string(shape), sources.size());
    }
    Shape one = shape;
    one[0] = 1;
    std::vector<Tensor> draws;
    for (const NoiseSource& source : sources) draws.push_back(source(one));
    return at::cat(draws);
  };
}

namespace {

/// An interval of the path, found by halving `depth` times; key: its number among those of its
/// depth.
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
