#include "lora/lora_file.h"

#include <array>
#include <cstddef>
#include <cstring>
#include <set>

#include "base/error.h"
#include "lora/foreign_keys.h"
#include "lora/lora_suffix.h"

namespace fourstep {
namespace {

using enum LoraRole;

/// The tensors of one module; undefined where the file has none.
struct Parts {
  std::array<Tensor, kNumLoraRoles> tensors;
  Tensor& operator[](LoraRole role) { return tensors[static_cast<size_t>(role)]; }
  const Tensor& operator[](LoraRole role) const { return tensors[static_cast<size_t>(role)]; }
};

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
    if (result_.weights.empty() && result_.biases.empty()) {
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
    if (key.starts_with("bundle_emb.")) {
      result_.embedding_keys.push_back(key);
      return;
    }
    if (const char* kind = refused_kind(key)) {
      throw Error(
          "{}: {} cannot be applied; supported are LoRA, LoCon, LoHa, LoKr, DoRA and full "
          "differences",
          where(key), kind);
    }
    const std::optional<LoraKey> split = split_lora_key(key);
    if (!split) {
      result_.unknown_keys.push_back(key);
      return;
    }
    if (tensor.numel() == 0)
      throw Error("{}: shape {} is empty", where(key), to_string(shape_of(tensor)));
    // Views of a file are contiguous, but not always aligned; bytes can be compared only of contiguous ones.
    const Tensor flat = aligned(tensor).contiguous();
    if (check_ == ValueCheck::kFinite && !is_finite(flat))
      throw Error("{}: holds NaN or infinity; the file is damaged", where(key));
    Tensor& slot = parts_[split->module][split->role];
    if (slot.defined()) throw Error("{}: the module has this tensor twice", where(key));
    slot = flat;
  }

  void add_module(const std::string& name, const Parts& parts) {
    if (parts[kBias].defined()) {
      result_.biases[name] = LoraModule{FullDiff{parts[kBias]}, {}, {}, {}};
    }
    std::optional<LoraModule> module = module_of(name, parts);
    if (!module) {
      if (!parts[kBias].defined()) result_.unknown_keys.push_back(name);
      return;
    }
    module->alpha = scalar(name + ".alpha", parts[kAlpha]);
    module->scale = scalar(name + ".scale", parts[kScale]);
    module->dora_scale = parts[kDora];
    if (parts[kMagnitude].defined()) module->dora_scale = parts[kMagnitude].reshape({-1, 1});
    if (!module->alpha && !module->scale) module->scale = configured_scale(name, *module);
    result_.weights[name] = std::move(*module);
  }

  std::optional<LoraModule> module_of(const std::string& name, const Parts& p) const {
    if (p[kDown].defined() || p[kUp].defined()) {
      require(name, {{p[kDown], "lora_down"}, {p[kUp], "lora_up"}});
      check_rank(name, p[kDown].size(0), p[kUp].dim() > 1 ? p[kUp].size(1) : -1);
      return LoraModule{LowRank{p[kDown], p[kUp], p[kMid]}, {}, {}, {}};
    }
    if (p[kHadaW1A].defined() || p[kHadaW2A].defined()) return loha_of(name, p);
    if (p[kLokrW1].defined() || p[kLokrW1A].defined()) return lokr_of(name, p);
    if (p[kDiff].defined()) return LoraModule{FullDiff{p[kDiff]}, {}, {}, {}};
    return std::nullopt;
  }

  LoraModule loha_of(const std::string& name, const Parts& p) const {
    require(name, {{p[kHadaW1A], "hada_w1_a"},
                   {p[kHadaW1B], "hada_w1_b"},
                   {p[kHadaW2A], "hada_w2_a"},
                   {p[kHadaW2B], "hada_w2_b"}});
    if (p[kHadaT1].defined()) require(name, {{p[kHadaT2], "hada_t2"}});
    for (const auto& [a, b] : {std::pair{kHadaW1A, kHadaW1B}, std::pair{kHadaW2A, kHadaW2B}}) {
      check_rank(name, p[b].size(0), p[a].size(p[kHadaT1].defined() ? 0 : -1));
    }
    return LoraModule{
        LoHa{p[kHadaW1A], p[kHadaW1B], p[kHadaT1], p[kHadaW2A], p[kHadaW2B], p[kHadaT2]},
        {},
        {},
        {}};
  }

  /// Factors beside a whole matrix count for nothing, not even as the rank.
  LoraModule lokr_of(const std::string& name, const Parts& p) const {
    if (!p[kLokrW1].defined())
      require(name, {{p[kLokrW1A], "lokr_w1_a"}, {p[kLokrW1B], "lokr_w1_b"}});
    if (!p[kLokrW2].defined())
      require(name, {{p[kLokrW2A], "lokr_w2_a"}, {p[kLokrW2B], "lokr_w2_b"}});
    LoKr lokr;
    lokr.w1 = p[kLokrW1];
    lokr.w2 = p[kLokrW2];
    if (!lokr.w1.defined()) lokr.w1_a = p[kLokrW1A], lokr.w1_b = p[kLokrW1B];
    if (!lokr.w2.defined()) {
      lokr.w2_a = p[kLokrW2A], lokr.w2_b = p[kLokrW2B], lokr.t2 = p[kLokrT2];
    }
    return LoraModule{std::move(lokr), {}, {}, {}};
  }

  using Wanted = std::vector<std::pair<Tensor, const char*>>;
  void require(const std::string& name, const Wanted& wanted) const {
    for (const auto& [tensor, part] : wanted) {
      if (!tensor.defined()) throw Error("{}: its {} is missing", where(name), part);
      if (tensor.dim() < 2) {
        throw Error("{}: {} has shape {}, expected a matrix", where(name), part,
                    to_string(shape_of(tensor)));
      }
    }
  }

  void check_rank(const std::string& name, int64_t down, int64_t up) const {
    if (down == up) return;
    throw Error("{}: its factors have ranks {} and {}, expected equal ones", where(name), down, up);
  }

  std::optional<double> scalar(const std::string& key, const Tensor& tensor) const {
    if (!tensor.defined()) return std::nullopt;
    if (tensor.numel() != 1) {
      throw Error("{}: shape {}, expected one number", where(key), to_string(shape_of(tensor)));
    }
    return tensor.to(torch::kDouble).item<double>();
  }

  /// From the configuration of the component whose prefix the name has, else of the folder.
  std::optional<double> configured_scale(const std::string& name, const LoraModule& module) const {
    if (std::holds_alternative<FullDiff>(module.weight)) return std::nullopt;
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
  std::map<std::string, Parts> parts_;
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
  const auto* lokr = std::get_if<LoKr>(&module.weight);
  if (lokr && lokr->w2_b.defined()) return lokr->w2_b.size(0);
  return lokr && lokr->w1_b.defined() ? lokr->w1_b.size(0) : 0;
}

double factor_of(const LoraModule& module) {
  if (module.scale) return *module.scale;
  const int64_t rank = rank_of(module);
  return module.alpha && rank > 0 ? *module.alpha / static_cast<double>(rank) : 1.0;
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
  };
  std::vector<Tensor> tensors = std::visit(Visitor{}, module.weight);
  tensors.push_back(module.dora_scale);
  return tensors;
}

}  // namespace fourstep
