#include "workbench/base_model.h"

#include <algorithm>

#include "base/error.h"
#include "base/scaled_weight.h"
#include "io/quantisation.h"
#include "io/single_file.h"
#include "io/tensor_file.h"

namespace fourstep {
namespace {

/// Of the types that `type_of` gives for the UNet's tensors the one with most elements.
template <typename TypeOf>
torch::ScalarType prevalent_dtype(const Checkpoint& checkpoint, const TypeOf& type_of) {
  std::map<torch::ScalarType, int64_t> counts;
  for (const auto& [name, tensor] : checkpoint.components.at(Component::kUnet)) {
    counts[type_of(tensor)] += tensor.numel();
  }
  const auto most = std::max_element(counts.begin(), counts.end(),
                                     [](auto& a, auto& b) { return a.second < b.second; });
  return most == counts.end() ? torch::kFloat : most->first;
}

BaseModel base_model_of(TensorFile file) {
  BaseModel base;
  base.file = std::move(file);
  const std::filesystem::path& path = base.file.path;
  ModelSource source = model_source_of(base.file);
  if (const std::string reason = refusal(source); !reason.empty()) throw Error(reason);
  base.checkpoint = std::move(source.checkpoint);
  if (!base.checkpoint.has(Component::kUnet)) {
    throw Error("\"{}\": has no UNet; name a checkpoint or a UNet file", path.string());
  }
  for (KeyRow& row : key_table(shapes_of(base.file.tensors)).rows) {
    if (!row.targets.empty()) base.rows[row.key] = row;
  }
  return base;
}

/// A model whose tensors get the names of a single file.
BaseModel renamed_base_model(const Checkpoint& checkpoint) {
  const auto vae = checkpoint.components.find(Component::kVae);
  if (vae != checkpoint.components.end() && is_tiny_vae(vae->second)) {
    throw Error("\"{}\": a checkpoint file has no place for a tiny VAE; name a whole VAE",
                checkpoint.path.string());
  }
  TensorFile file = single_file_of(checkpoint);
  file.path = checkpoint.path;
  BaseModel base = base_model_of(std::move(file));
  base.checkpoint.notices = checkpoint.notices;
  return base;
}

}  // namespace

BaseModel open_base_model(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) return renamed_base_model(open_checkpoint(path));
  return base_model_of(open_weights(path));
}

BaseModel open_base_model(const ModelPaths& paths) {
  const bool has_parts = !paths.unet.empty() || !paths.vae.empty() || !paths.text_encoder.empty() ||
                         !paths.text_encoder_2.empty();
  if (!has_parts) return open_base_model(std::filesystem::path(paths.model));
  return renamed_base_model(open_model_parts(paths).checkpoint);
}

std::vector<std::string> notices_of(const Checkpoint& checkpoint) {
  std::vector<std::string> notices = checkpoint.notices;
  for (const Shortage& shortage : shortages_of(checkpoint)) {
    if (!shortage.names.empty()) notices.push_back(shortage.sentence());
  }
  return notices;
}

LoraMatch open_matched_lora(const std::filesystem::path& lora, const Checkpoint& checkpoint,
                            bool is_partial_allowed) {
  LoraMatch match = match_lora(open_lora(lora), lora_targets_of(checkpoint));
  check_complete(match, is_partial_allowed);
  return match;
}

torch::ScalarType unet_dtype(const Checkpoint& checkpoint) {
  return prevalent_dtype(checkpoint, [](const Tensor& tensor) {
    const ScaledWeight* scaled = scaled_weight_of(tensor);
    return (scaled ? scaled->codes : tensor).scalar_type();
  });
}

torch::ScalarType merged_unet_dtype(const Checkpoint& checkpoint) {
  return prevalent_dtype(checkpoint, [](const Tensor& tensor) { return tensor.scalar_type(); });
}

std::string dtype_name(torch::ScalarType dtype) {
  const FileDtype* found = find_file_dtype(dtype);
  return std::string(found ? found->name : c10::toString(dtype));
}

}  // namespace fourstep
