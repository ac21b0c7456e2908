#pragma once
// Checkpoints in scaled fp8, and the same with their true values in fp32, which every command must
// take them for.

#include <torch/torch.h>

#include "io/safetensors.h"

namespace fourstep::testing {

struct ScaledFp8 {
  NamedTensors scaled;  ///< with "X.weight_scale" and further marks beside the fp8 weights
  NamedTensors truth;   ///< fp8 * scale in fp32; the rest as given
};

/// Every second matrix or convolution gets one scale per output, the others one number; each spans
/// the type's range.
inline ScaledFp8 scaled_fp8_of(const NamedTensors& tensors) {
  constexpr float kLargest = 448;  // of e4m3fn
  ScaledFp8 out;
  bool is_per_output = false;
  for (const auto& [name, tensor] : tensors) {
    out.scaled[name] = out.truth[name] = tensor;
    if (!name.ends_with(".weight") || tensor.dim() < 2) continue;
    const Tensor magnitudes = tensor.to(torch::kFloat).abs().flatten(1).amax(1);
    const Tensor scale = (is_per_output ? magnitudes : magnitudes.max()) / kLargest;
    Shape per_row(static_cast<size_t>(tensor.dim()), 1);
    if (is_per_output) per_row[0] = tensor.size(0);
    const Tensor factors = scale.reshape(is_per_output ? per_row : Shape{});
    const Tensor codes = (tensor.to(torch::kFloat) / factors).to(torch::kFloat8_e4m3fn);
    out.scaled[name] = codes;
    out.scaled[name + "_scale"] = scale;
    out.scaled[name.substr(0, name.size() - 6) + "input_scale"] = torch::tensor(1.F);
    out.truth[name] = codes.to(torch::kFloat) * factors;
    is_per_output = !is_per_output;
  }
  return out;
}

/// Writes `scaled` and `truth` (file names) for the tensors of a single file.
inline void write_scaled_fp8(const TensorFile& file, const std::filesystem::path& scaled,
                             const std::filesystem::path& truth) {
  const ScaledFp8 both = scaled_fp8_of(file.tensors);
  Metadata metadata = file.metadata;
  write_safetensors(truth, both.truth, metadata);
  metadata["_quantization_metadata"] = R"({"format_version": "1.0", "layers": {}})";
  write_safetensors(scaled, both.scaled, metadata);
}

}  // namespace fourstep::testing
