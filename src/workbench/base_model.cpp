#include "workbench/base_model.h"

#include <algorithm>

#include "base/error.h"
#include "io/dtypes.h"
#include "io/scaled_fp8.h"
#include "io/single_file.h"

namespace fourstep {

BaseModel open_base_model(const std::filesystem::path& path) {
  BaseModel base;
  if (std::filesystem::is_directory(path)) {
    base.file = single_file_of(open_checkpoint(path));
    base.file.path = path;
  } else {
    base.file = open_tensor_file(path);
    const std::string what = fmt::format("\"{}\"", path.string());
    base.file.tensors = apply_fp8_scales(std::move(base.file.tensors), what);
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
  std::map<torch::ScalarType, int64_t> counts;
  for (const auto& [name, tensor] : checkpoint.components.at(Component::kUnet)) {
    counts[tensor.scalar_type()] += tensor.numel();
  }
  const auto most = std::max_element(counts.begin(), counts.end(),
                                     [](auto& a, auto& b) { return a.second < b.second; });
  return most == counts.end() ? torch::kFloat : most->first;
}

std::string dtype_name(torch::ScalarType dtype) {
  const FileDtype* found = find_file_dtype(dtype);
  return std::string(found ? found->name : c10::toString(dtype));
}

}  // namespace fourstep
