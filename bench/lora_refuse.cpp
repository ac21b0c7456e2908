// How long does a changed LoRA weight take at full SDXL size? Re-fuses all modules of the DMD2 set (rank 64)
// from fp16 into live bf16 weights. Usage: lora_refuse [tests/golden/sdxl_lora_names.json] [threads]
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <chrono>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lora/lora_stack.h"

namespace fourstep {
namespace {

constexpr int64_t kRank = 64;

/// One tensor per shape: contents do not matter for the time, and this halves the memory.
Tensor shared_weight(const Shape& shape) {
  static thread_local std::map<Shape, Tensor> weights;
  Tensor& weight = weights[shape];
  if (!weight.defined()) weight = torch::randn(shape).mul_(0.03).to(torch::kHalf);
  return weight;
}

LoraModule random_module(const Shape& shape) {
  Shape down = shape, up = shape;
  down[0] = up[1] = kRank;
  for (size_t i = 2; i < up.size(); ++i) up[i] = 1;
  return {LowRank{shared_weight(down), shared_weight(up), {}}, {}, 8.0, {}};
}

struct Seconds {
  double wall = 0, cpu = 0;
};

Seconds seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  work();
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
          static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC};
}

void run(const std::string& names_file) {
  AppliedLora lora;
  std::map<Component, NamedTensors> pristine;
  NamedTensors live;
  const nlohmann::json names = nlohmann::json::parse(std::ifstream(names_file));
  for (const auto& row : names.at("unet")) {
    if (!row.at("in_dmd2_set").get<bool>()) continue;
    const Shape shape = row.at("shape").get<Shape>();
    const std::string name = row.at("module").get<std::string>() + ".weight";
    pristine[Component::kUnet][name] = shared_weight(shape);
    live[name] = shared_weight(shape).to(torch::kBFloat16);
    if (shape.size() == 4) live[name] = live[name].contiguous(at::MemoryFormat::ChannelsLast);
    lora.match.matched.push_back({Component::kUnet, name, random_module(shape)});
  }
  LoraStack stack(pristine);
  const auto write = [&](const ParameterId& id, const Tensor& weight, const auto& terms) {
    fuse_into(live.at(id.name), weight, terms);
  };
  for (const double weight : {1.0, 0.7, -0.5, 0.0}) {
    lora.unet_weight = weight;
    const Seconds s = seconds([&] { stack.set({lora}, write); });
    fmt::print("{} modules, rank {}, weight {}: {:.2f} s, {:.2f} s of CPU time, {} threads\n",
               live.size(), kRank, weight, s.wall, s.cpu, at::get_num_threads());
  }
}

}  // namespace
}  // namespace fourstep

int main(int argc, char** argv) {
  if (argc > 2) at::set_num_threads(std::stoi(argv[2]));
  fourstep::run(argc > 1 ? argv[1] : "tests/golden/sdxl_lora_names.json");
}
