#include "io/scaled_fp8.h"

#include "base/error.h"
#include "io/key_names.h"

namespace fourstep {
namespace {

constexpr const char* kScale = "scale_weight";

bool is_fp8(const Tensor& tensor) {
  return tensor.scalar_type() == torch::kFloat8_e4m3fn ||
         tensor.scalar_type() == torch::kFloat8_e5m2;
}

}  // namespace

NamedTensors apply_fp8_scales(NamedTensors tensors, const std::string& what) {
  for (const auto& [name, scale] : tensors) {
    if (!name.ends_with(std::string(".") + kScale)) continue;
    if (scale.numel() != 1)
      throw Error("{}: key \"{}\": shape {}, expected one number", what, name,
                  to_string(shape_of(scale)));
    const auto weight =
        tensors.find(name.substr(0, name.size() - std::string(kScale).size()) + "weight");
    if (weight == tensors.end() || !is_fp8(weight->second)) continue;
    const Tensor factor = aligned(scale).to(torch::kFloat).reshape({});
    weight->second = (weight->second.to(torch::kFloat) * factor).to(torch::kHalf);
  }
  std::erase_if(tensors, [](const auto& item) { return is_fp8_mark(item.first); });
  return tensors;
}

}  // namespace fourstep
