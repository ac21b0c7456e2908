#pragma once
// LoRA files of random numbers for weights of SDXL, and what they add, made the plain way.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "lora/fuse.h"
#include "support/files.h"
#include "support/golden.h"
#include "workbench/lora_fit.h"

namespace fourstep {

inline const std::string kQuery =
    "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.weight";
inline const std::string kOut =
    "unet.up_blocks.1.attentions.2.transformer_blocks.1.attn2.to_out.0.weight";
inline const std::string kConvolution = "unet.down_blocks.0.resnets.0.conv1.weight";
inline const std::string kShortcut = "unet.down_blocks.1.resnets.0.conv_shortcut.weight";
inline const std::string kText = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.weight";
inline const std::string kText2 = "text_encoder_2.text_model.encoder.layers.31.mlp.fc1.weight";

/// "unet.a.b" as an id.
inline ParameterId id_of(const std::string& text) {
  const size_t dot = text.find('.');
  for (const Component component : all_components()) {
    if (text.substr(0, dot) == to_string(component)) return {component, text.substr(dot + 1)};
  }
  throw std::runtime_error("no component: " + text);
}

inline const LoraLayout& sdxl() {
  static const LoraLayout layout = published_layout(Family::kSdxl);
  return layout;
}

inline Shape shape_in_sdxl(const std::string& parameter) {
  const ParameterId id = id_of(parameter);
  return sdxl().shapes.at(id.component).at(id.name);
}

/// Factors of normal numbers for a weight of SDXL.
inline LoraModule random_module(const std::string& parameter, int64_t rank, double alpha,
                                torch::ScalarType dtype = torch::kFloat) {
  const Shape shape = shape_in_sdxl(parameter);
  Shape up(shape.size(), 1), down = shape;
  up[0] = shape[0], up[1] = rank, down[0] = rank;
  LoraModule module{
      LowRank{(torch::randn(down) * 0.1).to(dtype), (torch::randn(up) * 0.1).to(dtype), {}},
      {},
      {},
      {}};
  module.alpha = alpha;
  return module;
}

/// A module of each kind whose change depends on the weight, for the query [640,640].
inline std::map<std::string, LoraModule> weight_dependent_modules() {
  const LowRank b{torch::randn({2, 640}), torch::randn({640, 2}), {}};
  LoraModule glora{GLoRA{torch::randn({640, 2}), torch::randn({2, 640}), b}, {}, {}, {}};
  glora.alpha = 1;
  LoraModule dora = random_module(kQuery, 2, 2);
  dora.dora_scale = torch::ones({640, 1});
  return {{"GLoRA", glora},
          {"OFT", {OFT{torch::randn({160, 4, 4}), {}}, {}, {}, {}}},
          {"BOFT", {OFT{torch::randn({2, 160, 4, 4}), {}}, {}, {}, {}}},
          {"IA3", {IA3{torch::randn({640}), torch::tensor(1)}, {}, {}, {}}},
          {"replaced weight", {Replacement{torch::randn({640, 640})}, {}, {}, {}}},
          {"DoRA", dora}};
}

/// The modules as if a file of the path had held them.
inline FittedLora fitted(const std::map<std::string, LoraModule>& modules,
                         const std::string& path = "a.safetensors") {
  FittedLora lora{{}, sdxl(), {}, FitKind::kComplete};
  lora.file.path = path;
  for (const auto& [name, module] : modules) {
    const ParameterId id = id_of(name);
    lora.match.matched.push_back({id.component, id.name, module, name});
  }
  return lora;
}

/// The difference as a matrix in double, multiplied out.
inline Tensor full_delta(const std::map<ParameterId, LoraModule>& modules,
                         const std::string& name) {
  const auto& low = std::get<LowRank>(modules.at(id_of(name)).weight);
  return torch::mm(low.up.to(torch::kDouble).flatten(1), low.down.to(torch::kDouble).flatten(1)) *
         factor_of(modules.at(id_of(name)));
}

inline double norm_of(const Tensor& tensor) {
  return std::sqrt(tensor.to(torch::kDouble).square().sum().item<double>());
}

inline std::map<ParameterId, LoraModule> by_id(const std::map<std::string, LoraModule>& modules) {
  return fitted(modules).modules();
}

}  // namespace fourstep
