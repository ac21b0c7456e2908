#include "base/noise.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <memory>
#include <utility>

#include "base/error.h"

namespace fourstep {

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

}  // namespace fourstep
