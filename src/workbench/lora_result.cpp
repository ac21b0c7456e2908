#include "workbench/lora_result.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "io/safetensors.h"
#include "lora/relative_change.h"
#include "workbench/lora_algebra.h"
#include "workbench/lora_alphas.h"
#include "workbench/lora_styles.h"
#include "workbench/part_metadata.h"

namespace fourstep {
namespace {

using Json = nlohmann::ordered_json;

/// Entries that hold for the result when all parts say the same.
constexpr const char* kShared[] = {"ss_base_model_version",     "ss_v2",
                                   "modelspec.architecture",    "modelspec.resolution",
                                   "modelspec.prediction_type", "modelspec.sai_model_spec"};

/// What `read` finds in the parts, each text once, in order.
template <typename Read>
std::string read_joined(const std::vector<LoraPart>& parts, const char* separator,
                        const Read& read) {
  std::vector<std::string> texts;
  for (const LoraPart& part : parts) texts.push_back(read(part));
  return joined(texts, separator);
}

Json weighted_part_json(const LoraPart& part) {
  Json json = part_json(part.path, sha256_of(part.path, {}), part.metadata);
  json["weight"] = part.weight;
  if (!part.note.empty()) json["note"] = part.note;
  return json;
}

/// The common value as text, "Dynamic" (kohya's word) when there are several.
template <typename Value>
std::string common_text(const std::set<Value>& values) {
  if (values.size() != 1) return "Dynamic";
  return fmt::format("{}", *values.begin());
}

void add_network(const std::map<ParameterId, LoraModule>& modules, Metadata& metadata) {
  std::set<int64_t> ranks;
  std::set<double> alphas;
  for (const auto& [id, module] : modules) {
    if (rank_of(module) == 0) continue;
    ranks.insert(rank_of(module));
    alphas.insert(alpha_of(module));
  }
  metadata["ss_network_module"] = "networks.lora";
  metadata["ss_network_dim"] = common_text(ranks);
  metadata["ss_network_alpha"] = common_text(alphas);
}

void add_text(Metadata& metadata, const char* key, const std::string& text) {
  if (!text.empty()) metadata[key] = text;
}

}  // namespace

Metadata result_metadata(const std::string& operation, const std::vector<LoraPart>& parts,
                         const std::map<ParameterId, LoraModule>& modules) {
  Metadata metadata;
  for (const char* key : kShared) {
    const std::string first = entry_of(parts.front().metadata, key);
    const bool is_shared = std::all_of(parts.begin(), parts.end(), [&](const LoraPart& part) {
      return entry_of(part.metadata, key) == first;
    });
    if (is_shared) add_text(metadata, key, first);
  }
  add_network(modules, metadata);
  const auto file_name = [](const LoraPart& part) { return part.path.filename().string(); };
  add_text(metadata, "modelspec.merged_from", read_joined(parts, ", ", file_name));
  add_text(metadata, "modelspec.license", read_joined(parts, "; ", [](const LoraPart& part) {
             return licence_of(part.metadata);
           }));
  add_text(metadata, "modelspec.title", read_joined(parts, " + ", [](const LoraPart& part) {
             return entry_of(part.metadata, "modelspec.title");
           }));
  add_text(metadata, "modelspec.trigger_phrase", read_joined(parts, ", ", [](const LoraPart& part) {
             return entry_of(part.metadata, "modelspec.trigger_phrase");
           }));
  Json made_from = {{"operation", operation}, {"parts", Json::array()}};
  for (const LoraPart& part : parts) made_from["parts"].push_back(weighted_part_json(part));
  metadata["fourstep.made_from"] = made_from.dump(-1, ' ', false, Json::error_handler_t::replace);
  return metadata;
}

double write_lora(const std::filesystem::path& path,
                  const std::map<ParameterId, LoraModule>& modules, const LoraLayout& layout,
                  torch::ScalarType dtype, const Metadata& metadata,
                  const BundledEmbeddings& embeddings) {
  NamedTensors tensors = kohya_tensors(modules, layout, dtype);
  TensorFile file;
  file.path = path;
  file.tensors = tensors;
  const FittedLora written = fit_lora(parse_lora(file), {layout});
  const std::map<ParameterId, LoraModule> rounded = written.modules();
  double lost = 0, total = 0;
  for (const auto& [id, module] : modules) {
    const auto found = rounded.find(id);
    if (found == rounded.end())
      throw Error("write(\"{}\"): {} does not fit {}", path.string(), text_of(id), layout.name);
    if (is_relative(module)) continue;
    total += norm_squared(module);
    lost += distance_squared(module, found->second);
  }
  tensors.merge(bundled_tensors(embeddings));
  write_safetensors(path, tensors, metadata);
  return total > 0 ? std::sqrt(lost / total) : 0;
}

torch::ScalarType lora_dtype_from_text(const std::string& text) {
  if (text == "fp32") return torch::kFloat;
  if (text == "fp16") return torch::kHalf;
  if (text == "bf16") return torch::kBFloat16;
  throw InvalidRequest("--dtype {}: expected fp32, fp16 or bf16", text);
}

torch::ScalarType widest_type(const std::vector<std::map<ParameterId, LoraModule>>& parts) {
  torch::ScalarType widest = torch::kHalf;
  bool is_first = true;
  for (const auto& modules : parts) {
    for (const auto& [id, module] : modules) {
      for (const Tensor& tensor : tensors_of(module)) {
        if (!tensor.defined() || !tensor.is_floating_point()) continue;
        widest = is_first ? tensor.scalar_type() : c10::promoteTypes(widest, tensor.scalar_type());
        is_first = false;
      }
    }
  }
  // fp8 factors cannot hold what is computed from them.
  return torch::elementSize(widest) < 2 ? torch::kHalf : widest;
}

}  // namespace fourstep
