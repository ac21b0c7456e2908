#include "workbench/lora_convert.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/error.h"
#include "io/text_encoding.h"
#include "workbench/lora_fit.h"
#include "workbench/lora_result.h"

namespace fourstep {
namespace {

using enum LoraRole;

/// Hashes of the bytes of a file, untrue for any other file.
constexpr std::array kHashEntries = {"sshs_model_hash", "sshs_legacy_hash",
                                     "modelspec.hash_sha256"};

class Converter {
 public:
  Converter(const LoraSource& source, FittedLora fit, const ConvertOptions& options)
      : source_(source), fit_(std::move(fit)), modules_(fit_.modules()), options_(options) {
    for (const MatchedModule& m : fit_.match.matched) add_place(m);
  }

  ConvertedLora convert() {
    for (const auto& [key, tensor] : source_.file.tensors) take(key, tensor);
    result_.metadata = source_.file.metadata;
    for (const char* entry : kHashEntries) result_.metadata.erase(entry);
    if (has_alpha_tensors(options_.to)) {
      write_alpha_tensors();
    } else {
      write_alpha_metadata();
    }
    result_.num_modules = places_.size();
    result_.layout = fit_.layout.name;
    return std::move(result_);
  }

 private:
  void add_place(const MatchedModule& m) {
    const ParameterId id{m.component, module_of(m.parameter) + ".weight"};
    const auto [place, is_new] = places_.emplace(m.name, id);
    if (is_new || place->second == id) return;
    throw Error("{}: it is a difference of several weights at once, which {} cannot express",
                where(m.name), to_string(options_.to));
  }

  std::string where(const std::string& key) const {
    return fmt::format("lora convert(\"{}\"): {}", source_.file.path.string(), printable(key));
  }

  void take(const std::string& key, const Tensor& tensor) {
    if (const std::optional<BundledKey> bundled = split_bundled_key(key)) {
      if (options_.drops_embeddings) return;
      result_.tensors[key] = tensor;
      result_.embeddings[bundled->name][bundled->part] = tensor;
      return;
    }
    const std::optional<LoraKey> split = split_lora_key(key);
    const std::vector<std::string>& empty = fit_.file.empty_modules;
    if (std::find(empty.begin(), empty.end(), split->module) != empty.end()) return;
    const ParameterId& id = places_.at(split->module);
    if (split->role == kAlpha) {
      alphas_[id] = aligned(tensor);
    } else {
      put(key, *split, id, tensor);
    }
  }

  [[noreturn]] void refuse(const std::string& key, const std::string& what) const {
    const std::optional<LoraKey> split = split_lora_key(key);
    const bool is_whole_bias = split && split->role == kWholeBias;
    const char* others = is_whole_bias ? "peft" : "kohya and kohya-ldm";
    throw Error("{}: {} cannot be expressed in the style {}; {} can", where(key), what,
                to_string(options_.to), others);
  }

  void put(const std::string& key, const LoraKey& split, const ParameterId& id,
           const Tensor& tensor) {
    if (!has_alpha_tensors(options_.to) && split.role == kScale) return;  // goes where alpha goes
    const LoraRole role = target_role(split.role, id);
    std::optional<std::string> suffix = role_suffix(options_.to, id.component, role);
    if (!suffix) refuse(key, "\"" + std::string(split.suffix) + "\"");
    // PEFT keeps the bias of a layer that has factors, too, one level deeper.
    if (role == kWholeBias && is_low_rank(id)) suffix = ".base_layer" + *suffix;
    // Several spellings of one role ("w_norm", "diff") stay what they are.
    if (role == split.role && role != kDown && role != kUp && has_alpha_tensors(options_.to))
      suffix = std::string(split.suffix);
    const torch::ScalarType dtype =
        options_.dtype && tensor.is_floating_point() ? *options_.dtype : tensor.scalar_type();
    result_.tensors[module_key(options_.to, id, fit_.layout) + *suffix] =
        cast_checked(in_role(key, role, split.role, id, tensor), dtype, printable(key));
  }

  /// PEFT scales its bias with the factors; kohya's is the difference itself.
  LoraRole target_role(LoraRole role, const ParameterId& id) const {
    const bool is_kohya = has_alpha_tensors(options_.to);
    if (role == kMagnitude || role == kDora) return is_kohya ? kDora : kMagnitude;
    if (role == kUpBias) return is_kohya ? kBias : kUpBias;
    if (role == kBias && is_low_rank(id)) return is_kohya ? kBias : kUpBias;
    const bool is_whole = role == kSetWeight || (role == kWeight && !is_ia3(id));
    if (is_whole) return is_kohya ? kSetWeight : kWeight;
    return role;
  }

  const LoraModule* weight_of(const ParameterId& id) const {
    const auto found = modules_.find(id);
    return found == modules_.end() ? nullptr : &found->second;
  }
  bool is_low_rank(const ParameterId& id) const {
    const LoraModule* module = weight_of(id);
    return module && std::holds_alternative<LowRank>(module->weight);
  }
  bool is_ia3(const ParameterId& id) const {
    const LoraModule* module = weight_of(id);
    return module && std::holds_alternative<IA3>(module->weight);
  }

  /// The values of a bias where one of the two roles is scaled by the factors, and the other is
  /// not.
  Tensor bias_in_role(const std::string& key, LoraRole to, LoraRole from, const ParameterId& id,
                      const Tensor& tensor) const {
    const LoraModule* module = weight_of(id);
    double factor = module && (from == kUpBias) != (to == kUpBias) ? factor_of(*module) : 1;
    if (options_.folds_alpha) factor = from == kUpBias && module ? factor_of(*module) : 1;
    if (factor == 1) return tensor;
    if (factor == 0 && to == kUpBias && !options_.folds_alpha)
      refuse(key, "a bias beside factors of alpha 0");
    const Tensor values = aligned(tensor).to(torch::kDouble);
    return (to == kUpBias && !options_.folds_alpha ? values / factor : values * factor)
        .to(tensor.scalar_type());
  }

  /// DoRA's magnitudes per output are [out] for PEFT, [out,1,...] for kohya; all else keeps its
  /// shape.
  Tensor in_role(const std::string& key, LoraRole to, LoraRole from, const ParameterId& id,
                 const Tensor& tensor) const {
    if (to == kUp && options_.folds_alpha) {
      return aligned(tensor).to(torch::kDouble) * factor_of(modules_.at(id));
    }
    if (to == kBias || to == kUpBias) return bias_in_role(key, to, from, id, tensor);
    if (to == from || to == kWeight || to == kSetWeight) return tensor;
    if (to == kMagnitude) {
      if (tensor.size(0) != tensor.numel()) refuse(key, "a magnitude per input");
      return aligned(tensor).reshape({-1});
    }
    Shape shape(std::get<LowRank>(modules_.at(id).weight).up.dim(), 1);
    shape[0] = tensor.numel();
    return aligned(tensor).reshape(shape);
  }

  /// The modules that alpha is a fact of, and their alpha tensors, undefined where there are none.
  std::map<ParameterId, LoraModule> scaled_modules() const {
    std::map<ParameterId, LoraModule> scaled;
    for (const auto& [id, module] : modules_) {
      if (std::holds_alternative<LowRank>(module.weight)) scaled[id] = module;
    }
    return scaled;
  }

  void write_alpha_tensors() {
    const AlphaForms forms(source_.file.metadata);
    const bool has_own = !alphas_.empty();
    if (!has_own) {
      for (const auto& [id, module] : scaled_modules()) alphas_[id] = forms.make(id, module);
    }
    for (const auto& [id, alpha] : alphas_) {
      if (!alpha.defined() || (!has_own && is_scaled_by_tensor(id))) continue;
      result_.tensors[module_key(options_.to, id, fit_.layout) + ".alpha"] = in_dtype(alpha);
    }
    AlphaForms().write(result_.metadata);
    const auto entry = result_.metadata.find(kAdapterMetadata);
    if (entry == result_.metadata.end()) return;
    result_.metadata[kParkedAdapterMetadata] = entry->second;
    result_.metadata.erase(kAdapterMetadata);
  }

  /// Whether the file has a ".scale" tensor for it, which says what alpha would.
  bool is_scaled_by_tensor(const ParameterId& id) const {
    const auto key = module_key(options_.to, id, fit_.layout) + ".scale";
    return result_.tensors.count(key) != 0;
  }

  /// With --dtype alpha changes its type too, unless that would change its value.
  Tensor in_dtype(const Tensor& alpha) const {
    if (!options_.dtype || !alpha.is_floating_point()) return alpha;
    return scalar_tensor(alpha.to(torch::kDouble).item<double>(), *options_.dtype)
        .reshape(alpha.sizes());
  }

  void write_alpha_metadata() {
    const std::map<ParameterId, LoraModule> scaled = scaled_modules();
    result_.metadata.try_emplace("format", "pt");
    const auto parked = result_.metadata.find(kParkedAdapterMetadata);
    const bool can_restore = parked != result_.metadata.end() && agrees(parked->second, scaled);
    const std::string restored = can_restore ? parked->second : "";
    result_.metadata.erase(kParkedAdapterMetadata);
    if (options_.folds_alpha) {
      result_.metadata.erase(kAdapterMetadata);
      AlphaForms().write(result_.metadata);
      return;
    }
    const bool says_nothing = std::all_of(scaled.begin(), scaled.end(), [](const auto& item) {
      return !item.second.alpha && !item.second.scale;
    });
    note_alpha_forms(scaled, says_nothing);
    for (const auto& [id, module] : scaled) result_.num_scaled += factor_of(module) != 1;
    if (can_restore) {
      result_.metadata[kAdapterMetadata] = restored;
    } else if (!says_nothing && result_.metadata.count(kAdapterMetadata) == 0) {
      result_.metadata[kAdapterMetadata] = adapter_metadata(scaled, biased_components());
    }
  }

  std::set<Component> biased_components() const {
    std::set<Component> components;
    for (const auto& [id, module] : modules_) {
      const ParameterId weight{id.component, module_of(id.name) + ".weight"};
      const bool is_difference = id.name.ends_with(".bias") && is_low_rank(weight) &&
                                 std::holds_alternative<FullDiff>(module.weight);
      if (is_difference) components.insert(id.component);
    }
    return components;
  }

  /// Only a file with alpha tensors can tell their forms; others pass on what they were told.
  void note_alpha_forms(const std::map<ParameterId, LoraModule>& scaled, bool says_nothing) {
    if (alphas_.empty() || says_nothing) return;
    std::map<ParameterId, Tensor> alphas = alphas_;
    for (const auto& [id, module] : scaled) alphas.try_emplace(id);
    AlphaForms(alphas, modules_).write(result_.metadata);
  }

  const LoraSource& source_;
  FittedLora fit_;
  std::map<ParameterId, LoraModule> modules_;
  ConvertOptions options_;
  std::map<std::string, ParameterId> places_;  ///< by the file's module name: its weight
  std::map<ParameterId, Tensor> alphas_;
  ConvertedLora result_;
};

}  // namespace

ConvertedLora convert_lora(const LoraSource& source, const std::vector<LoraLayout>& layouts,
                           const ConvertOptions& options) {
  if (options.folds_alpha && has_alpha_tensors(options.to)) {
    throw InvalidRequest("--fold-alpha: the style {} has a tensor for alpha; leave the flag out",
                         to_string(options.to));
  }
  FittedLora fit = fit_lora(parse_lora(source.file, source.peft), layouts);
  check_complete(fit.match);
  return Converter(source, std::move(fit), options).convert();
}

}  // namespace fourstep
