#include "workbench/lora_result.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "base/error.h"
#include "io/peft_config.h"
#include "io/safetensors.h"
#include "io/tensor_file.h"
#include "lora/relative_change.h"
#include "workbench/lora_algebra.h"
#include "workbench/lora_fit.h"
#include "workbench/lora_styles.h"
#include "workbench/merge_metadata.h"

namespace fourstep {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kForms = "fourstep.lora_alphas";
constexpr const char* kAbsent = "absent";
constexpr const char* kUsual = "usual";

template <typename Value>
Value most_frequent(const std::vector<Value>& values) {
  std::map<Value, size_t> counts;
  for (const Value& value : values) ++counts[value];
  return std::max_element(counts.begin(), counts.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

std::string form_of(const Tensor& alpha, const LoraModule& module) {
  if (!alpha.defined()) return kAbsent;
  const auto* low = std::get_if<LowRank>(&module.weight);
  const bool is_usual = low && alpha.dim() == 0 && alpha.scalar_type() == low->down.scalar_type();
  const FileDtype* dtype = find_file_dtype(alpha.scalar_type());
  if (is_usual || !dtype) return kUsual;
  return fmt::format("{} {}", dtype->name, alpha.dim());
}

/// "F32 1": a tensor of one element with one dimension; nothing when the text says no form.
std::optional<Tensor> tensor_of_form(const std::string& form, double alpha) {
  const size_t blank = form.find(' ');
  const FileDtype* dtype = find_file_dtype(std::string_view(form).substr(0, blank));
  if (blank == std::string::npos || form.size() != blank + 2 || !dtype || !dtype->scalar_type)
    return std::nullopt;
  const int dims = form.back() - '0';
  if (dims < 0 || dims > 4) return std::nullopt;
  const Tensor tensor = torch::scalar_tensor(alpha, torch::kDouble).to(*dtype->scalar_type);
  return tensor.reshape(Shape(static_cast<size_t>(dims), 1));
}

/// The name by which PEFT finds a module: it compares ends of names, and versions of transformers
/// differ in whether text encoders' begin with "text_model.".
std::string peft_name(const ParameterId& id) {
  const std::string module = module_of(id.name), prefix = "text_model.";
  return module.starts_with(prefix) ? module.substr(prefix.size()) : module;
}

/// One component's modules by peft_name().
using ByModule = std::map<std::string, const LoraModule*>;

Json component_config(const ByModule& modules) {
  std::vector<int64_t> ranks;
  std::vector<double> alphas;
  bool has_dora = false;
  for (const auto& [name, module] : modules) {
    ranks.push_back(rank_of(*module));
    alphas.push_back(alpha_of(*module));
    has_dora |= module->dora_scale.defined();
  }
  const int64_t rank = most_frequent(ranks);
  const double alpha = most_frequent(alphas);
  Json rank_pattern = Json::object(), alpha_pattern = Json::object(), targets = Json::array();
  for (const auto& [name, module] : modules) {
    if (rank_of(*module) != rank) rank_pattern[name] = rank_of(*module);
    if (alpha_of(*module) != alpha) alpha_pattern[name] = alpha_of(*module);
    targets.push_back(name);
  }
  return {{"r", rank},
          {"lora_alpha", alpha},
          {"rank_pattern", rank_pattern},
          {"alpha_pattern", alpha_pattern},
          {"target_modules", targets},
          {"use_dora", has_dora},
          {"use_rslora", false}};
}

}  // namespace

double alpha_of(const LoraModule& module) {
  if (module.alpha && !module.scale) return *module.alpha;
  return factor_of(module) * static_cast<double>(rank_of(module));
}

std::string adapter_metadata(const std::map<ParameterId, LoraModule>& modules,
                             const std::set<Component>& biased) {
  std::map<Component, ByModule> by_component;
  for (const auto& [id, module] : modules) by_component[id.component][peft_name(id)] = &module;
  Json json = Json::object();
  for (const auto& [component, of_component] : by_component) {
    Json config = component_config(of_component);
    if (biased.count(component) != 0) config["lora_bias"] = true;
    for (const auto& [field, value] : config.items())
      json[fmt::format("{}.{}", to_string(component), field)] = value;
  }
  return json.dump();
}

bool agrees(const std::string& adapter_metadata, const std::map<ParameterId, LoraModule>& modules) {
  try {
    const auto configs = parse_adapter_metadata(adapter_metadata, kParkedAdapterMetadata);
    return std::all_of(modules.begin(), modules.end(), [&](const auto& item) {
      const auto config = configs.find(to_string(item.first.component));
      return config != configs.end() &&
             peft_scaling(config->second, module_of(item.first.name), rank_of(item.second)) ==
                 factor_of(item.second);
    });
  } catch (const Error&) {
    return false;  // somebody else's text: it is made anew
  }
}

AlphaForms::AlphaForms(const Metadata& metadata) {
  const auto entry = metadata.find(kForms);
  if (entry == metadata.end()) return;
  const Json json = Json::parse(entry->second, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return;
  for (const auto& [name, form] : json.items()) {
    if (form.is_string()) forms_[name] = form.get<std::string>();
  }
}

AlphaForms::AlphaForms(const std::map<ParameterId, Tensor>& alphas,
                       const std::map<ParameterId, LoraModule>& modules) {
  std::vector<std::string> all;
  for (const auto& [id, module] : modules) {
    const auto alpha = alphas.find(id);
    if (alpha == alphas.end()) continue;
    all.push_back(form_of(alpha->second, module));
    forms_[text_of(id)] = all.back();
  }
  if (all.empty()) return;
  const std::string common = most_frequent(all);
  std::erase_if(forms_, [&](const auto& item) { return item.second == common; });
  if (common != kUsual) forms_["*"] = common;
}

void AlphaForms::write(Metadata& metadata) const {
  metadata.erase(kForms);
  if (!forms_.empty()) metadata[kForms] = Json(forms_).dump();
}

Tensor AlphaForms::make(const ParameterId& id, const LoraModule& module) const {
  auto form = forms_.find(text_of(id));
  if (form == forms_.end()) form = forms_.find("*");
  const std::string text = form == forms_.end() ? kUsual : form->second;
  const bool is_plain = factor_of(module) == 1;
  if (text == kAbsent && is_plain) return {};
  const double alpha = alpha_of(module);
  if (const auto tensor = tensor_of_form(text, alpha)) return *tensor;
  // Without a note, a file that says nothing of alpha gets none.
  if (form == forms_.end() && !module.alpha && !module.scale) return {};
  return scalar_tensor(alpha, std::get<LowRank>(module.weight).down.scalar_type());
}

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
