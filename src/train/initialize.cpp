#include "train/initialize.h"

#include "layers/layers.h"
#include "train/random.h"

namespace fourstep {

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
