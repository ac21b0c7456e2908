// Writes an SDXL single file with random weights (fp16, 6.94 GB, the key list of the published model) and a
// random LoRA of the shape of the public DMD2 LoRA (788 modules). For speed, memory and equality with other
// programs at full size, where no real weights are at hand.
// Usage: make_random_sdxl CHECKPOINT.safetensors LORA.safetensors

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/safetensors.h"

namespace {

using fourstep::NamedTensors;
using fourstep::Shape;
using fourstep::Tensor;

nlohmann::json read_json(const std::string& name) {
  const std::string path = std::string(FOURSTEP_SOURCE_DIR) + "/tests/golden/" + name;
  std::ifstream in(path);
  if (!in) throw fourstep::Error("make_random_sdxl: {} is missing", path);
  return nlohmann::json::parse(in);
}

bool ends_with(const std::string& text, const std::string& tail) {
  return text.size() >= tail.size() &&
         text.compare(text.size() - tail.size(), tail.size(), tail) == 0;
}

/// Norms near 1, biases near 0, all others of deviation 1/sqrt(inputs), which keeps the size of activations
/// from layer to layer.
Tensor random_weight(const std::string& name, const Shape& shape) {
  if (ends_with(name, "position_ids")) return torch::arange(77).view(shape).to(torch::kHalf);
  if (ends_with(name, "logit_scale")) return torch::full(shape, 4.6055, torch::kHalf);
  Tensor weight = torch::empty(shape);
  if (ends_with(name, "bias")) return weight.normal_(0, 0.02).to(torch::kHalf);
  if (shape.size() == 1) return weight.normal_(1, 0.05).to(torch::kHalf);
  const double inputs = static_cast<double>(weight.numel()) / static_cast<double>(shape[0]);
  return weight.normal_(0, 1 / std::sqrt(inputs)).to(torch::kHalf);
}

void write_checkpoint(const std::string& path) {
  NamedTensors tensors;
  const nlohmann::json table = read_json("keys/sdxl.json");
  for (const auto& row : table.at("rows")) {
    const auto name = row.at(0).get<std::string>();
    tensors[name] = random_weight(name, row.at(4).get<Shape>());
  }
  fourstep::write_safetensors(path, tensors);
  fmt::print("{}: {} tensors\n", path, tensors.size());
}

/// The change is about 5% of a weight's size at strength 1 (alpha 8, rank 64).
void write_lora(const std::string& path) {
  NamedTensors tensors;
  const nlohmann::json keys = read_json("dmd2_lora_kohya_fp16.json");
  for (const auto& [name, entry] : keys.at("tensors").items()) {
    const auto shape = entry.at(1).get<Shape>();
    if (ends_with(name, "alpha")) {
      tensors[name] = torch::full(shape, 8, torch::kHalf);
      continue;
    }
    const Tensor factor = torch::empty(shape);
    const double inputs = static_cast<double>(factor.numel()) / static_cast<double>(shape[0]);
    tensors[name] = (ends_with(name, "up.weight") ? factor.normal_(0, 0.05)
                                                  : factor.normal_(0, 1 / std::sqrt(inputs)))
                        .to(torch::kHalf);
  }
  fourstep::write_safetensors(path, tensors);
  fmt::print("{}: {} tensors\n", path, tensors.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: make_random_sdxl CHECKPOINT.safetensors LORA.safetensors\n");
    return 2;
  }
  try {
    torch::manual_seed(1);
    write_checkpoint(argv[1]);
    write_lora(argv[2]);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
