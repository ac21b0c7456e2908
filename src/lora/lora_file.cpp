#include "lora/lora_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <array>
#include <cstddef>
#include <cstring>
#include <set>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "io/peft_config.h"
#include "io/quantisation.h"
#include "io/weight_files.h"
#include "lora/lora_keys.h"
#include "lora/lora_parts.h"

namespace fourstep {

namespace {

constexpr std::string_view kBundlePrefix = "bundle_emb.";
constexpr std::string_view kParameters = ".string_to_param.";

/// Longest first among those that end alike.
constexpr std::array<std::string_view, 6> kParts = {"clip_l",     "clip_g",     "emb_params",
                                                    "clip_l_out", "clip_g_out", "emb_params_out"};

bool has_same_vectors(const NamedTensors& a, const NamedTensors& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [part, tensor] : a) {
    const auto other = b.find(part);
    if (other == b.end() || tensor.sizes() != other->second.sizes()) return false;
    if (!torch::equal(aligned(tensor).to(torch::kDouble),
                      aligned(other->second).to(torch::kDouble))) {
      return false;
    }
  }
  return true;
}

bool is_known_part(const std::string& part) {
  for (const std::string_view known : kParts) {
    if (part == known) return true;
  }
  return false;
}

}  // namespace

std::optional<BundledKey> split_bundled_key(const std::string& key) {
  if (!key.starts_with(kBundlePrefix)) return std::nullopt;
  const std::string rest = key.substr(kBundlePrefix.size());
  BundledKey split;
  const size_t parameters = rest.find(kParameters);
  if (parameters != std::string::npos) {
    split = {rest.substr(0, parameters), rest.substr(parameters + kParameters.size())};
  } else {
    const size_t last = rest.rfind('.');
    if (last == std::string::npos) return std::nullopt;
    const bool is_known = is_known_part(rest.substr(last + 1));
    const size_t dot = is_known ? last : rest.find('.');
    split = {rest.substr(0, dot), rest.substr(dot + 1)};
  }
  if (split.name.empty() || split.part.empty()) return std::nullopt;
  return split;
}

bool is_output_part(const std::string& part) {
  return part.ends_with("_out") && is_known_part(part);
}

std::string names_text(const BundledEmbeddings& embeddings) {
  std::vector<std::string> names;
  for (const auto& [name, tensors] : embeddings) names.push_back(name);
  return fmt::format("{}", fmt::join(names, ", "));
}

void add_embeddings(BundledEmbeddings& all, const BundledEmbeddings& more,
                    const std::string& what) {
  for (const auto& [name, tensors] : more) {
    const auto [known, is_new] = all.emplace(name, tensors);
    if (is_new || has_same_vectors(known->second, tensors)) continue;
    throw InvalidRequest(
        "{}: the embedding \"{}\" bundled in it has other vectors than the one of the same name in "
        "another file; leave one of the files out, or rename the embedding's keys in it",
        what, name);
  }
}

NamedTensors bundled_tensors(const BundledEmbeddings& embeddings) {
  NamedTensors tensors;
  for (const auto& [name, parts] : embeddings) {
    for (const auto& [part, tensor] : parts) {
      const bool is_plain = is_known_part(part);
      const std::string_view between = is_plain ? "." : kParameters;
      tensors[fmt::format("{}{}{}{}", kBundlePrefix, name, between, part)] = tensor;
    }
  }
  return tensors;
}

namespace {

using enum LoraRole;

/// True when an exponent of all ones occurs, which is NaN or infinity in every IEEE-like format.
template <typename Word>
bool has_special_exponent(const Tensor& tensor, Word exponent) {
  const auto* bytes = static_cast<const std::byte*>(tensor.const_data_ptr());
  bool found = false;
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    Word word;
    std::memcpy(&word, bytes + i * static_cast<int64_t>(sizeof(Word)), sizeof(Word));
    found |= (word & exponent) == exponent;
  }
  return found;
}

bool is_finite(const Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case torch::kHalf:
      return !has_special_exponent<uint16_t>(tensor, 0x7c00);
    case torch::kBFloat16:
      return !has_special_exponent<uint16_t>(tensor, 0x7f80);
    case torch::kFloat:
      return !has_special_exponent<uint32_t>(tensor, 0x7f800000);
    default:
      return tensor.to(torch::kDouble).isfinite().all().item<bool>();
  }
}

/// Whether an empty tensor is a factor of a decomposition of rank 0.
bool has_rank_zero(const Tensor& tensor, LoraRole role) {
  static const std::set<LoraRole> kFactors = {
      kMid,     kHadaW1A, kHadaW1B, kHadaT1,  kHadaW2A, kHadaW2B, kHadaT2,  kLokrW1A, kLokrW1B,
      kLokrW2A, kLokrW2B, kLokrT2,  kGloraA1, kGloraA2, kGloraB1, kGloraB2, kGloraMid};
  if (tensor.dim() < 2) return false;
  if (role == kDown) return tensor.size(0) == 0;
  if (role == kUp) return tensor.size(1) == 0;
  return kFactors.count(role) != 0;
}

/// Collects one file's modules; its members carry what every message needs.
class Parser {
 public:
  Parser(const TensorFile& file, const std::optional<PeftConfig>& peft, ValueCheck check)
      : file_(file), peft_(peft), check_(check) {
    result_.path = file.path;
    result_.metadata = file.metadata;
    const auto entry = file.metadata.find("lora_adapter_metadata");
    if (entry == file.metadata.end()) return;
    by_prefix_ = parse_adapter_metadata(entry->second, where("metadata lora_adapter_metadata"));
  }

  LoraFile parse() {
    for (const auto& [key, tensor] : file_.tensors) sort_in(key, tensor);
    for (const auto& [name, parts] : parts_) add_module(name, parts);
    if (!is_telling_ ||
        (result_.weights.empty() && result_.biases.empty() && result_.empty_modules.empty())) {
      throw Error("load_lora(\"{}\"): no LoRA in this file; {}", file_.path.string(),
                  describe_foreign_keys(file_.tensors));
    }
    return std::move(result_);
  }

 private:
  std::string where(const std::string& key) const {
    return fmt::format("load_lora(\"{}\"): {}", file_.path.string(), key);
  }

  void sort_in(const std::string& key, const Tensor& tensor) {
    if (const std::optional<BundledKey> bundled = split_bundled_key(key)) {
      result_.embeddings[bundled->name][bundled->part] = checked(key, tensor);
      return;
    }
    if (const char* kind = refused_kind(key)) {
      throw Error(
          "{}: {} cannot be applied; supported are LoRA, LoCon, LoHa, LoKr, DoRA, GLoRA, full "
          "differences, and OFT, BOFT and IA3 of LyCORIS and sd-scripts",
          where(key), kind);
    }
    const std::optional<LoraKey> split = split_lora_key(key);
    if (!split || !can_be_module(*split)) {
      result_.unknown_keys.push_back(key);
      return;
    }
    is_telling_ |= is_telling(split->role);
    Tensor& slot = parts_[split->module][split->role];
    if (slot.defined()) throw Error("{}: the module has this tensor twice", where(key));
    slot = checked(key, tensor);
    if (slot.numel() == 0 && !has_rank_zero(slot, split->role))
      throw Error("{}: shape {} is empty", where(key), to_string(shape_of(tensor)));
  }

  /// Whole weights and biases are PEFT's, whose module names have dots; a vector of IA3 has its
  /// flag beside it.
  bool can_be_module(const LoraKey& key) const {
    const bool is_whole = key.role == kWeight || key.role == kWholeBias;
    return !is_whole || key.module.find('.') != std::string::npos ||
           file_.tensors.count(key.module + ".on_input") != 0;
  }

  /// Views of a file are contiguous, but not always aligned; bytes can be compared only of
  /// contiguous ones.
  Tensor checked(const std::string& key, const Tensor& tensor) const {
    Tensor flat = aligned(tensor).contiguous();
    if (check_ == ValueCheck::kFinite && !is_finite(flat))
      throw Error("{}: holds NaN or infinity; the file is damaged", where(key));
    return flat;
  }

  void add_module(const std::string& name, const LoraParts& parts) {
    std::optional<LoraModule> weight = weight_module(parts, where(name));
    if (weight && !weight->alpha && !weight->scale) weight->scale = configured_scale(name, *weight);
    std::optional<LoraModule> bias = bias_module(parts, weight, where(name));
    if (weight && is_empty_module(*weight)) {
      weight.reset();
      if (!bias) return result_.empty_modules.push_back(name);
    }
    if (!weight && !bias) result_.unknown_keys.push_back(name);
    if (weight) result_.weights[name] = std::move(*weight);
    if (bias) result_.biases[name] = std::move(*bias);
  }

  /// From the configuration of the component whose prefix the name has, else of the folder.
  std::optional<double> configured_scale(const std::string& name, const LoraModule& module) const {
    const bool is_scaled = std::holds_alternative<LowRank>(module.weight) ||
                           std::holds_alternative<LoHa>(module.weight) ||
                           std::holds_alternative<LoKr>(module.weight);
    if (!is_scaled || is_empty_module(module)) return std::nullopt;
    const PeftConfig* config = peft_ ? &*peft_ : nullptr;
    std::string rest = name.starts_with("base_model.model.") ? name.substr(17) : name;
    for (const auto& [prefix, found] : by_prefix_) {
      if (!prefix.empty() && !name.starts_with(prefix + ".")) continue;
      config = &found;
      if (!prefix.empty()) rest = name.substr(prefix.size() + 1);
    }
    if (!config) return std::nullopt;
    return peft_scaling(*config, rest, rank_of(module));
  }

  const TensorFile& file_;
  const std::optional<PeftConfig>& peft_;
  ValueCheck check_;
  std::map<std::string, PeftConfig> by_prefix_;
  std::map<std::string, LoraParts> parts_;
  bool is_telling_ = false;  ///< some key is one that LoRAs alone have
  LoraFile result_;
};

}  // namespace

std::vector<std::string> LoraFile::module_names() const {
  std::set<std::string> names;
  for (const auto* modules : {&weights, &biases}) {
    for (const auto& [name, module] : *modules) names.insert(name);
  }
  return {names.begin(), names.end()};
}

LoraFile parse_lora(const TensorFile& file, const std::optional<PeftConfig>& peft,
                    ValueCheck check) {
  return Parser(file, peft, check).parse();
}

int64_t rank_of(const LoraModule& module) {
  if (const auto* low = std::get_if<LowRank>(&module.weight)) return low->down.size(0);
  if (const auto* loha = std::get_if<LoHa>(&module.weight)) return loha->w1_b.size(0);
  if (const auto* glora = std::get_if<GLoRA>(&module.weight)) return glora->a2.size(0);
  const auto* lokr = std::get_if<LoKr>(&module.weight);
  if (lokr && lokr->w2_b.defined()) return lokr->w2_b.size(0);
  return lokr && lokr->w1_b.defined() ? lokr->w1_b.size(0) : 0;
}

double factor_of(const LoraModule& module) {
  if (module.scale) return *module.scale;
  const int64_t rank = rank_of(module);
  return module.alpha && rank > 0 ? *module.alpha / static_cast<double>(rank) : 1.0;
}

double number_of(const LoraModule& module) {
  return std::holds_alternative<OFT>(module.weight) ? module.alpha.value_or(0) : factor_of(module);
}

std::vector<Tensor> tensors_of(const LoraModule& module) {
  struct Visitor {
    std::vector<Tensor> operator()(const LowRank& m) const { return {m.down, m.up, m.mid}; }
    std::vector<Tensor> operator()(const LoHa& m) const {
      return {m.w1_a, m.w1_b, m.t1, m.w2_a, m.w2_b, m.t2};
    }
    std::vector<Tensor> operator()(const LoKr& m) const {
      return {m.w1, m.w1_a, m.w1_b, m.w2, m.w2_a, m.w2_b, m.t2};
    }
    std::vector<Tensor> operator()(const FullDiff& m) const { return {m.diff}; }
    std::vector<Tensor> operator()(const GLoRA& m) const {
      return {m.a1, m.a2, m.b.down, m.b.up, m.b.mid};
    }
    std::vector<Tensor> operator()(const OFT& m) const { return {m.blocks, m.rescale}; }
    std::vector<Tensor> operator()(const IA3& m) const { return {m.weight, m.on_input}; }
    std::vector<Tensor> operator()(const Replacement& m) const { return {m.value}; }
  };
  std::vector<Tensor> tensors = std::visit(Visitor{}, module.weight);
  tensors.push_back(module.dora_scale);
  return tensors;
}

namespace {

std::filesystem::path weights_in(const std::filesystem::path& folder) {
  for (const char* name : {"adapter_model.safetensors", "pytorch_lora_weights.safetensors",
                           "adapter_model.bin", "pytorch_lora_weights.bin"}) {
    if (std::filesystem::exists(folder / name)) return folder / name;
  }
  if (has_usual_weights(folder)) return find_weight_files(folder).files.front();
  throw Error(
      "open_lora(\"{}\"): the folder holds neither adapter_model nor pytorch_lora_weights "
      "(.safetensors or .bin); give the LoRA file itself",
      folder.string());
}

}  // namespace

LoraSource open_lora_source(const std::filesystem::path& path) {
  const bool is_folder = std::filesystem::is_directory(path);
  const std::filesystem::path file = is_folder ? weights_in(path) : path;
  // A configuration counts only beside PEFT's own file name: a folder of downloads may hold
  // anything.
  const bool is_peft = stem_without_shard(file) == "adapter_model";
  LoraSource source{open_weights(file), std::nullopt};
  check_readable(unreadable_file(source.file));
  if (is_peft) source.peft = read_peft_config(file.parent_path());
  return source;
}

LoraFile open_lora(const std::filesystem::path& path, ValueCheck check) {
  const LoraSource source = open_lora_source(path);
  return parse_lora(source.file, source.peft, check);
}

}  // namespace fourstep
