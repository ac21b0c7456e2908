#include "train/random.h"

#include <ATen/CPUGeneratorImpl.h>

namespace fourstep {

namespace {

uint64_t mix(uint64_t x) {  // splitmix64's finaliser
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

at::Generator generator_of(const RandomKey& key) {
  // The engine of this generator keeps 32 bits of its seed.
  return at::make_generator<at::CPUGeneratorImpl>(hash_of(key) >> 32);
}

}  // namespace

uint64_t hash_of(const RandomKey& key) {
  uint64_t name = 0xcbf29ce484222325u;
  for (const char c : key.stream) name = (name ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  const uint64_t stream = mix(key.seed + 0x9e3779b97f4a7c15u) ^ name;
  return mix(mix(stream) + static_cast<uint64_t>(key.iteration) * 0x9e3779b97f4a7c15u);
}

Tensor draw_normal(const RandomKey& key, const Shape& shape) {
  return at::randn(shape, generator_of(key), torch::kFloat32);
}

Tensor draw_integers(const RandomKey& key, int64_t low, int64_t high, int64_t count) {
  return at::randint(low, high, {count}, generator_of(key), torch::kInt64);
}

Tensor draw_uniform(const RandomKey& key, int64_t count) {
  return at::rand({count}, generator_of(key), torch::kFloat32);
}

}  // namespace fourstep
