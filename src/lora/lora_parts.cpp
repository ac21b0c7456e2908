#include "lora/lora_parts.h"

#include <algorithm>
#include <initializer_list>
#include <utility>
#include <vector>

#include "base/error.h"

namespace fourstep {

namespace {

using enum LoraRole;

struct Suffix {
  std::string_view text;
  LoraRole role;
};

constexpr Suffix kSuffixes[] = {
    {".lora_down.weight", kDown},
    {".lora.down.weight", kDown},
    {"_lora.down.weight", kDown},
    {".lora_linear_layer.down.weight", kDown},
    {".lora_A.weight", kDown},
    {".lora_A", kDown},
    {".lora_up.weight", kUp},
    {".lora.up.weight", kUp},
    {"_lora.up.weight", kUp},
    {".lora_linear_layer.up.weight", kUp},
    {".lora_B.weight", kUp},
    {".lora_B", kUp},
    {".lora_mid.weight", kMid},
    {".alpha", kAlpha},
    {".scale", kScale},
    {".dora_scale", kDora},
    {".lora_magnitude_vector", kMagnitude},
    {".hada_w1_a", kHadaW1A},
    {".hada_w1_b", kHadaW1B},
    {".hada_t1", kHadaT1},
    {".hada_w2_a", kHadaW2A},
    {".hada_w2_b", kHadaW2B},
    {".hada_t2", kHadaT2},
    {".lokr_w1", kLokrW1},
    {".lokr_w1_a", kLokrW1A},
    {".lokr_w1_b", kLokrW1B},
    {".lokr_w2", kLokrW2},
    {".lokr_w2_a", kLokrW2A},
    {".lokr_w2_b", kLokrW2B},
    {".lokr_t2", kLokrT2},
    {".a1.weight", kGloraA1},
    {".a2.weight", kGloraA2},
    {".b1.weight", kGloraB1},
    {".b2.weight", kGloraB2},
    {".bm.weight", kGloraMid},
    {".oft_blocks", kOftBlocks},
    {".rescale", kRescale},
    {".on_input", kOnInput},
    {".weight", kWeight},
    {".bias", kWholeBias},
    {".set_weight", kSetWeight},
    {".diff", kDiff},
    {".w_norm", kDiff},
    {".diff_b", kBias},
    {".b_norm", kBias},
    {".lora_B.bias", kUpBias},
    {".lora_up.bias", kUpBias},
    {".lora.up.bias", kUpBias},
    {"_lora.up.bias", kUpBias},
    {".lora_linear_layer.up.bias", kUpBias},
};

/// PEFT's state dicts carry the adapter's name behind the factor: "x.lora_A.default.weight".
std::string without_adapter_name(const std::string& key) {
  for (const std::string factor : {".lora_A", ".lora_B", ".lora_magnitude_vector"}) {
    const size_t at = key.rfind(factor + ".");
    if (at == std::string::npos) continue;
    std::string_view rest = std::string_view(key).substr(at + factor.size());
    const bool is_bias = rest.ends_with(".bias");
    if (rest.ends_with(".weight")) rest.remove_suffix(7);
    if (is_bias) rest.remove_suffix(5);
    const bool is_name = rest.empty() || rest.find('.', 1) == std::string_view::npos;
    if (is_name) return key.substr(0, at + factor.size()) + (is_bias ? ".bias" : "");
  }
  return key;
}

/// Where PEFT keeps what it saves whole: "x.base_layer.bias", "x.modules_to_save.weight" and
/// "x.modules_to_save.default.weight" are of the module x.
std::string without_wrapper(const std::string& module) {
  constexpr std::string_view kBase = ".base_layer", kSaved = ".modules_to_save";
  if (module.ends_with(kBase)) return module.substr(0, module.size() - kBase.size());
  const size_t at = module.rfind(kSaved);
  if (at == std::string::npos) return module;
  const std::string_view name = std::string_view(module).substr(at + kSaved.size());
  const bool is_wrapper =
      name.empty() || (name[0] == '.' && name.find('.', 1) == std::string_view::npos);
  return is_wrapper ? module.substr(0, at) : module;
}

const Suffix* find_suffix(const std::string& key) {
  const Suffix* best = nullptr;
  for (const Suffix& suffix : kSuffixes) {
    if (key.ends_with(suffix.text) && (!best || suffix.text.size() > best->text.size())) {
      best = &suffix;
    }
  }
  return best;
}

}  // namespace

std::optional<LoraKey> split_lora_key(const std::string& key) {
  const std::string plain = without_adapter_name(key);
  const Suffix* suffix = find_suffix(plain);
  if (!suffix) return std::nullopt;
  std::string module = plain.substr(0, plain.size() - suffix->text.size());
  const bool is_whole = suffix->role == kWeight || suffix->role == kWholeBias;
  if (is_whole) module = without_wrapper(module);
  return LoraKey{std::move(module), suffix->text, suffix->role};
}

namespace {

using enum LoraRole;

/// Makes one module; its members carry what every message needs.
class ModuleMaker {
 public:
  ModuleMaker(const LoraParts& parts, const std::string& where) : p_(parts), where_(where) {}

  std::optional<LoraModule> make() const {
    std::optional<LoraModule> module = kind();
    if (!module) return std::nullopt;
    module->alpha = scalar(p_[kAlpha], ".alpha");
    module->scale = scalar(p_[kScale], ".scale");
    module->dora_scale = p_[kDora];
    if (p_[kMagnitude].defined()) module->dora_scale = p_[kMagnitude].reshape({-1, 1});
    const bool takes_dora =
        module->weight.index() <= LoraModule{GLoRA{}, {}, {}, {}}.weight.index();
    if (module->dora_scale.defined() && !takes_dora)
      throw Error("{}: DoRA's magnitudes belong to LoRA, LoHa, LoKr, GLoRA and full differences",
                  where_);
    return module;
  }

 private:
  template <typename Kind>
  static LoraModule module(Kind kind) {
    return {std::move(kind), {}, {}, {}};
  }

  std::optional<LoraModule> kind() const {
    if (p_[kDown].defined() || p_[kUp].defined()) return low_rank();
    if (p_[kHadaW1A].defined() || p_[kHadaW2A].defined()) return loha();
    if (p_[kLokrW1].defined() || p_[kLokrW1A].defined()) return lokr();
    if (p_[kGloraA1].defined() || p_[kGloraB1].defined()) return glora();
    if (p_[kOftBlocks].defined()) return oft();
    if (p_[kOnInput].defined()) return ia3();
    if (p_[kDiff].defined()) return module(FullDiff{p_[kDiff]});
    if (p_[kSetWeight].defined()) return module(Replacement{p_[kSetWeight]});
    if (p_[kWeight].defined()) return module(Replacement{p_[kWeight]});
    return std::nullopt;
  }

  LoraModule low_rank() const {
    require({{p_[kDown], "lora_down"}, {p_[kUp], "lora_up"}});
    check_rank(p_[kDown].size(0), p_[kUp].size(1));
    return module(LowRank{p_[kDown], p_[kUp], p_[kMid]});
  }

  LoraModule loha() const {
    require({{p_[kHadaW1A], "hada_w1_a"},
             {p_[kHadaW1B], "hada_w1_b"},
             {p_[kHadaW2A], "hada_w2_a"},
             {p_[kHadaW2B], "hada_w2_b"}});
    if (p_[kHadaT1].defined()) require({{p_[kHadaT2], "hada_t2"}});
    for (const auto& [a, b] : {std::pair{kHadaW1A, kHadaW1B}, std::pair{kHadaW2A, kHadaW2B}}) {
      check_rank(p_[b].size(0), p_[a].size(p_[kHadaT1].defined() ? 0 : -1));
    }
    return module(
        LoHa{p_[kHadaW1A], p_[kHadaW1B], p_[kHadaT1], p_[kHadaW2A], p_[kHadaW2B], p_[kHadaT2]});
  }

  /// Factors beside a whole matrix count for nothing, not even as the rank.
  LoraModule lokr() const {
    if (!p_[kLokrW1].defined()) require({{p_[kLokrW1A], "lokr_w1_a"}, {p_[kLokrW1B], "lokr_w1_b"}});
    if (!p_[kLokrW2].defined()) require({{p_[kLokrW2A], "lokr_w2_a"}, {p_[kLokrW2B], "lokr_w2_b"}});
    LoKr lokr;
    lokr.w1 = p_[kLokrW1];
    lokr.w2 = p_[kLokrW2];
    if (!lokr.w1.defined()) lokr.w1_a = p_[kLokrW1A], lokr.w1_b = p_[kLokrW1B];
    if (!lokr.w2.defined()) {
      lokr.w2_a = p_[kLokrW2A], lokr.w2_b = p_[kLokrW2B], lokr.t2 = p_[kLokrT2];
    }
    return module(std::move(lokr));
  }

  /// Files of LyCORIS before 2.0 have up and down in the other order: a1 [r,in], a2 [in,r], b1
  /// [r,in], b2 [out,r]. Where all four are square both readings fit, and that of today's LyCORIS
  /// is taken. Source: ComfyUI, comfy/weight_adapter/glora.py, for how to tell them apart.
  LoraModule glora() const {
    const Tensor &a1 = p_[kGloraA1], &a2 = p_[kGloraA2], &b1 = p_[kGloraB1], &b2 = p_[kGloraB2];
    require({{a1, "a1"}, {a2, "a2"}, {b1, "b1"}, {b2, "b2"}});
    const auto has_rank = [](int64_t r, const Shape& others) {
      return std::all_of(others.begin(), others.end(), [r](int64_t n) { return n == r; });
    };
    if (has_rank(a1.size(1), {a2.size(0), b1.size(1), b2.size(0)}))
      return module(GLoRA{a1, a2, LowRank{b2, b1, p_[kGloraMid]}});
    if (has_rank(a1.size(0), {a2.size(1), b1.size(0), b2.size(1)}))
      return module(GLoRA{a2, a1, LowRank{b1, b2, p_[kGloraMid]}});
    throw Error("{}: the shapes of a1 {}, a2 {}, b1 {} and b2 {} have no rank in common", where_,
                to_string(shape_of(a1)), to_string(shape_of(a2)), to_string(shape_of(b1)),
                to_string(shape_of(b2)));
  }

  LoraModule oft() const {
    const Tensor &blocks = p_[kOftBlocks], &rescale = p_[kRescale];
    const int64_t dims = blocks.dim();
    const bool is_square = (dims == 3 || dims == 4) && blocks.size(-1) == blocks.size(-2);
    // Stage i of a BOFT exchanges rows that are 2^i half blocks apart.
    const bool has_stages =
        dims != 4 || (blocks.size(0) <= 32 && blocks.size(-1) % 2 == 0 &&
                      blocks.size(1) % (int64_t{1} << (blocks.size(0) - 1)) == 0);
    if (!is_square || !has_stages) {
      throw Error("{}: oft_blocks has shape {}, expected [n,b,b], or [m,n,b,b] of a BOFT", where_,
                  to_string(shape_of(blocks)));
    }
    const int64_t rows = blocks.size(-3) * blocks.size(-1);
    if (rescale.defined() && rescale.numel() != rows) {
      throw Error("{}: rescale has shape {}, expected {} numbers, one per row of the rotation",
                  where_, to_string(shape_of(rescale)), rows);
    }
    return module(OFT{blocks, rescale});
  }

  LoraModule ia3() const {
    const Tensor& weight = p_[kWeight];
    if (!weight.defined()) throw Error("{}: an IA3 whose weight is missing", where_);
    if (weight.dim() == 0 ||
        weight.numel() != std::max<int64_t>(weight.size(0), weight.dim() > 1 ? weight.size(1) : 0))
      throw Error("{}: the weight of an IA3 has shape {}, expected one row of numbers", where_,
                  to_string(shape_of(weight)));
    scalar(p_[kOnInput], ".on_input");
    return module(IA3{weight, p_[kOnInput]});
  }

  using Wanted = std::vector<std::pair<Tensor, const char*>>;
  void require(const Wanted& wanted) const {
    for (const auto& [tensor, part] : wanted) {
      if (!tensor.defined()) throw Error("{}: its {} is missing", where_, part);
      if (tensor.dim() < 2) {
        throw Error("{}: {} has shape {}, expected a matrix", where_, part,
                    to_string(shape_of(tensor)));
      }
    }
  }

  void check_rank(int64_t down, int64_t up) const {
    if (down == up) return;
    throw Error("{}: its factors have ranks {} and {}, expected equal ones", where_, down, up);
  }

  std::optional<double> scalar(const Tensor& tensor, const char* suffix) const {
    if (!tensor.defined()) return std::nullopt;
    if (tensor.numel() != 1) {
      throw Error("{}{}: shape {}, expected one number", where_, suffix,
                  to_string(shape_of(tensor)));
    }
    return tensor.to(torch::kDouble).item<double>();
  }

  const LoraParts& p_;
  const std::string& where_;
};

/// How many kinds of modules the tensors are of; whole weights are told apart elsewhere.
int count_kinds(const LoraParts& parts) {
  const auto has = [&](std::initializer_list<LoraRole> roles) {
    return std::any_of(roles.begin(), roles.end(),
                       [&](LoraRole role) { return parts[role].defined(); });
  };
  return has({kDown, kUp}) + has({kHadaW1A, kHadaW2A}) + has({kLokrW1, kLokrW1A}) +
         has({kGloraA1, kGloraB1}) + has({kOftBlocks}) + has({kOnInput}) + has({kDiff}) +
         has({kSetWeight});
}

}  // namespace

bool is_telling(LoraRole role) {
  return role != kWeight && role != kWholeBias && role != kAlpha && role != kScale;
}

std::optional<LoraModule> weight_module(const LoraParts& parts, const std::string& where) {
  if (count_kinds(parts) > 1) {
    throw Error("{}: the file has several kinds of modules for this weight; expected one", where);
  }
  const bool is_ia3 = parts[kOnInput].defined();
  std::optional<LoraModule> module = ModuleMaker(parts, where).make();
  const bool is_whole = module && std::holds_alternative<Replacement>(module->weight);
  if (parts[kWeight].defined() && !is_ia3 && !is_whole) {
    throw Error("{}: the file holds the weight itself beside what is added to it; remove one",
                where);
  }
  return module;
}

std::optional<LoraModule> bias_module(const LoraParts& parts,
                                      const std::optional<LoraModule>& weight,
                                      const std::string& where) {
  const int count = parts[kBias].defined() + parts[kUpBias].defined() + parts[kWholeBias].defined();
  if (count > 1) throw Error("{}: the file has the module's bias in several ways", where);
  if (parts[kWholeBias].defined()) return LoraModule{Replacement{parts[kWholeBias]}, {}, {}, {}};
  if (parts[kBias].defined()) return LoraModule{FullDiff{parts[kBias]}, {}, {}, {}};
  if (!parts[kUpBias].defined()) return std::nullopt;
  LoraModule bias{FullDiff{parts[kUpBias]}, {}, {}, {}};
  // Source: PEFT, tuners/lora/layer.py: the bias of lora_B is scaled as its weight is.
  if (weight && factor_of(*weight) != 1) bias.scale = factor_of(*weight);
  return bias;
}

bool is_empty_module(const LoraModule& module) {
  if (module.dora_scale.defined()) return false;  // the magnitudes act all the same
  const std::vector<Tensor> tensors = tensors_of(module);
  return std::any_of(tensors.begin(), tensors.end(),
                     [](const Tensor& tensor) { return tensor.defined() && tensor.numel() == 0; });
}

}  // namespace fourstep
