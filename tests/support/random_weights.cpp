#include "support/random_weights.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include <cmath>
#include <string>

namespace fourstep::testing {

uint32_t crc32(std::string_view text) {
  uint32_t crc = 0xFFFFFFFFu;
  for (const char c : text) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

NamedTensors random_weights(const NamedShapes& shapes) {
  NamedTensors weights;
  for (const auto& [name, shape] : shapes) {
    const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(crc32(name));
    const Tensor noise = at::randn(shape, generator, torch::kFloat32);
    if (name.ends_with(".bias")) {
      weights[name] = noise * 0.1;
    } else if (shape.size() == 1) {
      weights[name] = noise * 0.1 + 1.0;
    } else {
      const double fan_in = static_cast<double>(noise.numel()) / static_cast<double>(shape.at(0));
      weights[name] = noise * (1.0 / std::sqrt(fan_in));
    }
  }
  return weights;
}

}  // namespace fourstep::testing
