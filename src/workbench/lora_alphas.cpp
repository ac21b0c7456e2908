#include "workbench/lora_alphas.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "io/dtypes.h"
#include "io/peft_config.h"
#include "workbench/lora_fit.h"
#include "workbench/lora_styles.h"

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

/// The name by which PEFT finds a module: it compares ends of names, and versions of transformers differ in
/// whether text encoders' begin with "text_model.".
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

}  // namespace fourstep
