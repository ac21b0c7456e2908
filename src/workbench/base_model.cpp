#include "workbench/base_model.h"

#include <algorithm>

#include "base/error.h"
#include "base/scaled_weight.h"
#include "io/dtypes.h"
#include "io/quantisation.h"
#include "io/single_file.h"

namespace fourstep {
namespace {

/// Of the types that `type_of` gives for the UNet's tensors the one with most elements.
template <typename TypeOf>
torch::ScalarType most_frequent(const Checkpoint& checkpoint, const TypeOf& type_of) {
  std::map<torch::ScalarType, int64_t> counts;
  for (const auto& [name, tensor] : checkpoint.components.at(Component::kUnet)) {
    counts[type_of(tensor)] += tensor.numel();
  }
  const auto most = std::max_element(counts.begin(), counts.end(),
                                     [](auto& a, auto& b) { return a.second < b.second; });
  return most == counts.end() ? torch::kFloat : most->first;
}

}  // namespace

BaseModel open_base_model(const std::filesystem::path& path) {
  BaseModel base;
  if (std::filesystem::is_directory(path)) {
    base.file = single_file_of(open_checkpoint(path));
    base.file.path = path;
  } else {
    base.file = open_weights(path);
  }
  ModelSource source = model_source_of(base.file);
  if (const std::string reason = refusal(source); !reason.empty()) throw Error(std::string(reason));
  base.checkpoint = std::move(source.checkpoint);
  if (!base.checkpoint.has(Component::kUnet)) {
    throw Error("\"{}\": has no UNet; name a checkpoint or a UNet file", path.string());
  }
  for (KeyRow& row : key_table(shapes_of(base.file.tensors)).rows) {
    if (!row.targets.empty()) base.rows[row.key] = row;
  }
  return base;
}

LoraMatch open_matched_lora(const std::filesystem::path& lora, const Checkpoint& checkpoint,
                            bool is_partial_allowed) {
  LoraMatch match = match_lora(open_lora(lora), lora_targets_of(checkpoint));
  check_complete(match, is_partial_allowed);
  return match;
}

torch::ScalarType unet_dtype(const Checkpoint& checkpoint) {
  return most_frequent(checkpoint, [](const Tensor& tensor) {
    const ScaledWeight* scaled = scaled_weight_of(tensor);
    return (scaled ? scaled->codes : tensor).scalar_type();
  });
}

torch::ScalarType merged_unet_dtype(const Checkpoint& checkpoint) {
  return most_frequent(checkpoint, [](const Tensor& tensor) { return tensor.scalar_type(); });
}

std::string dtype_name(torch::ScalarType dtype) {
  const FileDtype* found = find_file_dtype(dtype);
  return std::string(found ? found->name : c10::toString(dtype));
}

}  // namespace fourstep
