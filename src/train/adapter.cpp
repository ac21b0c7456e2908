#include "train/adapter.h"

#include "base/error.h"
#include "train/random.h"

namespace fourstep {

namespace {

bool is_target(const std::string& module, const std::vector<std::string>& targets) {
  return std::any_of(targets.begin(), targets.end(), [&](const std::string& target) {
    return module == target || module.ends_with("." + target);
  });
}

LowRankBranch new_branch(const Tensor& weight, const AdapterOptions& options,
                         const RandomKey& key) {
  Shape down = shape_of(weight), up = down;
  down[0] = options.rank;
  up[1] = options.rank;
  for (size_t i = 2; i < up.size(); ++i) up[i] = 1;
  const int64_t fan_in = weight.numel() / weight.size(0);
  const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
  const Tensor numbers = draw_uniform(key, options.rank * fan_in) * (2 * bound) - bound;
  return {numbers.view(down).to(weight.device()),
          at::zeros(up, at::TensorOptions(torch::kFloat32).device(weight.device())),
          options.alpha / static_cast<double>(options.rank)};
}

constexpr const char* kDown = ".lora_down.weight";
constexpr const char* kUp = ".lora_up.weight";

}  // namespace

Adapter::Adapter(UNet network, const AdapterOptions& options, uint64_t seed)
    : network_(std::move(network)), alpha_(options.alpha) {
  Branches branches;
  for (const auto& item : network_->named_modules()) {
    if (!is_target(item.key(), options.targets)) continue;
    const Tensor weight = weight_of_layer(*item.value());
    if (!weight.defined()) continue;
    modules_.emplace_back(item.key(), item.value().get());
    branches[item.value().get()] = new_branch(weight, options, {seed, item.key(), 0});
  }
  if (modules_.empty()) {
    throw Error("adapter: no layer of the network has a name that ends in {}",
                fmt::join(options.targets, ", "));
  }
  branches_ = std::make_shared<const Branches>(std::move(branches));
}

NamedTensors Adapter::parameters() const {
  NamedTensors factors;
  for (const auto& [name, module] : modules_) {
    const LowRankBranch& branch = branches_->at(module);
    factors[name + kDown] = branch.down;
    factors[name + kUp] = branch.up;
  }
  return factors;
}

NamedTensors Adapter::exported(const NamedTensors& factors, torch::Dtype dtype) const {
  NamedTensors file;
  for (const auto& [name, module] : modules_) {
    std::string key = "lora_unet_" + name;
    std::replace(key.begin(), key.end(), '.', '_');
    for (const char* factor : {kDown, kUp}) {
      file[key + factor] = factors.at(name + factor).detach().to(torch::kCPU, dtype);
    }
    file[key + ".alpha"] = at::scalar_tensor(alpha_, at::TensorOptions(dtype));
  }
  return file;
}

std::shared_ptr<const Branches> branches_of(const Adapter* adapter) {
  return adapter ? adapter->branches() : nullptr;
}

}  // namespace fourstep
