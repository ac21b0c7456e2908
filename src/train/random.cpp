#include "train/random.h"

#include <ATen/CPUGeneratorImpl.h>

#include "layers/layers.h"

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

namespace {

/// "conv2" of "down_blocks.0.resnets.1.conv2.weight".
std::string layer_name(const std::string& parameter) {
  const size_t end = parameter.rfind('.');
  if (end == std::string::npos) return "";
  const size_t begin = parameter.rfind('.', end - 1);
  return parameter.substr(begin == std::string::npos ? 0 : begin + 1,
                          end - (begin == std::string::npos ? 0 : begin + 1));
}

int64_t fan_in_of(const NamedTensors& parameters, const std::string& name) {
  const std::string weight = name.substr(0, name.rfind('.')) + ".weight";
  const auto found = parameters.find(weight);
  if (found == parameters.end() || found->second.dim() < 2) return 0;
  return found->second.numel() / found->second.size(0);
}

Tensor first_value(const NamedTensors& parameters, const std::string& name,
                   const Initialization& options) {
  const Shape shape = shape_of(parameters.at(name));
  const RandomKey key{options.seed, name, 0};
  const int64_t fan_in = fan_in_of(parameters, name);
  const bool is_zeroed = std::find(options.zeroed.begin(), options.zeroed.end(),
                                   layer_name(name)) != options.zeroed.end();
  if (is_zeroed) return at::zeros(shape);
  if (fan_in == 0) return name.ends_with(".weight") ? at::ones(shape) : at::zeros(shape);
  if (name.find("embedding.weight") != std::string::npos) {
    return draw_normal(key, shape) * options.embedding_std;
  }
  int64_t count = 1;
  for (const int64_t length : shape) count *= length;
  const double bound = options.gain / std::sqrt(static_cast<double>(fan_in));
  return (draw_uniform(key, count) * (2 * bound) - bound).view(shape);
}

}  // namespace

NamedTensors parameters_of(torch::nn::Module& module) {
  NamedTensors parameters;
  for (const auto& item : module.named_parameters()) parameters[item.key()] = item.value();
  return parameters;
}

void initialize(torch::nn::Module& module, const Initialization& options) {
  const NamedTensors placeholders = parameters_of(module);
  NamedTensors values;
  for (const auto& [name, tensor] : placeholders) {
    values[name] = first_value(placeholders, name, options);
  }
  load_weights(module, values, {.device = options.device}, "initialize");
}

}  // namespace fourstep
