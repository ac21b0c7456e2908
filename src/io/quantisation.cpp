#include "io/quantisation.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/scaled_weight.h"
#include "io/tensor_file.h"
#include "io/text_encoding.h"

namespace fourstep {
namespace {

using nlohmann::json;

constexpr const char* kHeaderEntry = "_quantization_metadata";
constexpr const char* kLayerEntry = ".comfy_quant";
constexpr size_t kMaxJsonBytes = 64 << 20;

/// How the name of a tensor ends that stands beside weights of a scheme that cannot be read.
struct SchemeMark {
  std::string_view ending;
  const char* scheme;
};

/// In the order of how much they tell: the first that a file has names its scheme.
constexpr SchemeMark kSchemes[] = {{".quant_state.bitsandbytes__nf4", "nf4 of bitsandbytes"},
                                   {".quant_state.bitsandbytes__fp4", "fp4 of bitsandbytes"},
                                   {".quant_map", "4 bits of bitsandbytes"},
                                   {".absmax", "4 bits of bitsandbytes"},
                                   {".SCB", "int8 of bitsandbytes"},
                                   {".weight_format", "int8 of bitsandbytes"},
                                   {".wscales", "SVDQuant of nunchaku"},
                                   {".wtscale", "SVDQuant of nunchaku"},
                                   {".wcscales", "SVDQuant of nunchaku"},
                                   {".smooth_factor", "SVDQuant of nunchaku"},
                                   {".qweight", "integers of GPTQ or AWQ"},
                                   {".qzeros", "integers of GPTQ or AWQ"},
                                   {".weight._data", "quanto"},
                                   {".weight._packed", "quanto"},
                                   {".weight_qdata", "torchao"},
                                   {".weight_packed", "compressed-tensors"},
                                   {".weight_zero_point", "compressed-tensors"},
                                   {".weight_codebook", "codes of a codebook"},
                                   {".weight_scale_2", "nvfp4"},
                                   {".pre_quant_scale", "ModelOpt, with scaled inputs"},
                                   {".W_q", "HQQ"}};

/// Further endings of tensors that are no weights: factors of activations, markers.
constexpr std::string_view kOtherMarks[] = {".scale_weight", ".weight_scale",  ".weight_scale_inv",
                                            ".scale_input",  ".input_scale",   ".comfy_quant",
                                            ".scaled_fp8",   ".nested_absmax", ".nested_quant_map",
                                            ".g_idx",        ".weight._scale"};

bool is_mark(const std::string& name) {
  const auto ends = [&](std::string_view ending) { return name.ends_with(ending); };
  return name == "scaled_fp8" ||
         std::any_of(std::begin(kOtherMarks), std::end(kOtherMarks), ends) ||
         std::any_of(std::begin(kSchemes), std::end(kSchemes),
                     [&](const SchemeMark& mark) { return ends(mark.ending); });
}

std::string sentence(const TensorFile& file, const std::string& scheme, const std::string& key,
                     const std::string& found = "") {
  return fmt::format(
      "\"{}\": quantised ({}), key {}{}; only fp32, fp16, bf16 and fp8 weights can be read: get "
      "the "
      "model in one of these",
      file.path.string(), scheme, printable(key), found.empty() ? "" : ": " + found);
}

bool is_readable(torch::ScalarType type) {
  constexpr torch::ScalarType kTypes[] = {torch::kDouble,        torch::kFloat,
                                          torch::kHalf,          torch::kBFloat16,
                                          torch::kFloat8_e4m3fn, torch::kFloat8_e5m2};
  return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
}

/// "int8", "uint8", "bool", or the file's word for what is no whole number: "F8_E8M0".
std::string type_name(torch::ScalarType type) {
  const FileDtype* dtype = find_file_dtype(type);
  const std::string name(dtype ? dtype->name : c10::toString(type));
  if (type == torch::kBool) return "bool";
  if (!c10::isIntegralType(type, /*includeBool=*/false)) return name;
  return (name.starts_with("U") ? "uint" : "int") + name.substr(1);
}

/// 16 codes: NF4's begin at -1 and rise (Dettmers et al. 2023, 2305.14314, app. E), FP4's begin at
/// 0.
std::string scheme_of_map(const Tensor& map) {
  if (map.numel() == 256) return "8-bit blocks of bitsandbytes";
  if (map.numel() != 16 || !at::isFloatingType(map.scalar_type())) return "4 bits of bitsandbytes";
  const bool is_nf4 = aligned(map).reshape({-1})[0].item<float>() < 0;
  return is_nf4 ? "nf4 of bitsandbytes" : "fp4 of bitsandbytes";
}

/// The sentence on a scheme whose marks the file has.
std::string marked_scheme(const TensorFile& file) {
  for (const auto& [key, type] : file.foreign_types) return sentence(file, type, key);
  for (const SchemeMark& mark : kSchemes) {
    for (const auto& [name, tensor] : file.tensors) {
      if (!name.ends_with(mark.ending)) continue;
      return sentence(file, mark.ending == ".quant_map" ? scheme_of_map(tensor) : mark.scheme,
                      name);
    }
  }
  return "";
}

/// What is not understood in a layer's description, {"format": "float8_e4m3fn", ...}; empty when
/// all is. Unknown settings may change the weights: "convrot" turns them.
std::string foreign_format(const json& layer) {
  if (layer.is_string()) return foreign_format({{"format", layer}});
  const auto format = layer.is_object() ? layer.find("format") : layer.end();
  if (!layer.is_object() || format == layer.end() || !format->is_string()) return "no format named";
  const std::string name = format->get<std::string>();
  constexpr std::string_view kFormats[] = {"float8_e4m3fn", "float8_e5m2", "float8_e4m3fn_rowwise",
                                           "float8_e5m2_rowwise"};
  if (std::find(std::begin(kFormats), std::end(kFormats), name) == std::end(kFormats)) {
    return "format " + printable(name);
  }
  constexpr std::string_view kSettings[] = {"format", "full_precision_matrix_mult", "orig_dtype",
                                            "orig_shape", "group_size"};
  for (const auto& [key, value] : layer.items()) {
    const bool is_off = value.is_null() || value == false;
    const bool is_known =
        std::find(std::begin(kSettings), std::end(kSettings), key) != std::end(kSettings);
    if (!is_known && !is_off) return fmt::format("{} with {}", name, printable(key));
  }
  return "";
}

/// The layers' descriptions: those of the header's entry, and those that stand beside the weights.
class LayerFormats {
 public:
  explicit LayerFormats(const TensorFile& file) : file_(file) {
    const std::string text = entry_of(file.metadata, kHeaderEntry);
    if (!text.empty()) read_header(text);
    for (const auto& [name, tensor] : file.tensors) {
      if (refusal.empty() && name.ends_with(kLayerEntry)) read_layer(name, tensor);
    }
  }

  std::string refusal;  ///< the sentence on the first layer that cannot be read

 private:
  void read_header(const std::string& text) {
    const json entry = text.size() > kMaxJsonBytes ? json() : json::parse(text, nullptr, false);
    const auto layers = entry.is_object() ? entry.find("layers") : entry.end();
    if (!entry.is_object() || layers == entry.end() || !layers->is_object()) {
      refusal = sentence(file_, "unknown format", kHeaderEntry, "metadata without \"layers\"");
      return;
    }
    for (const auto& [name, layer] : layers->items()) {
      if (refusal.empty()) check(name, layer);
    }
  }

  void read_layer(const std::string& key, const Tensor& bytes) {
    json layer;
    if (bytes.scalar_type() == torch::kUInt8 && bytes.nbytes() <= kMaxJsonBytes) {
      const Tensor plain = bytes.contiguous();
      const auto* text = static_cast<const char*>(plain.const_data_ptr());
      layer = json::parse(text, text + plain.nbytes(), nullptr, false);
    }
    check(key.substr(0, key.size() - std::string_view(kLayerEntry).size()), layer);
  }

  void check(const std::string& name, const json& layer) {
    const std::string format = foreign_format(layer);
    const auto weight = file_.tensors.find(name + ".weight");
    const bool is_fp8 = weight != file_.tensors.end() && weight->second.element_size() == 1;
    if (!format.empty()) {
      refusal = sentence(file_, format, name);
    } else if (is_fp8 && !has_scale(name)) {
      refusal = sentence(file_, "scaled fp8 without a scale", weight->first);
    }
  }

  bool has_scale(const std::string& layer) const {
    const auto is_there = [&](const char* ending) {
      return file_.tensors.count(layer + ending) != 0;
    };
    return is_there(".scale_weight") || is_there(".weight_scale") || is_there(".weight_scale_inv");
  }

  const TensorFile& file_;
};

/// The weight that the tensor `name` would be a scale of; empty when its name is none of a scale.
std::string weight_of_scale(const std::string& name) {
  constexpr std::string_view kOld = ".scale_weight";
  if (name.ends_with(kOld)) return name.substr(0, name.size() - kOld.size()) + ".weight";
  for (const std::string_view ending : {"_scale", "_scale_inv"}) {
    if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
  }
  return "";
}

/// One number, or one for each output: [n], [n,1], [n,1,1,1] for a weight [n,...].
bool fits_outputs(const Tensor& scale, const Tensor& weight) {
  if (scale.numel() == 1) return true;
  return weight.dim() > 0 && scale.numel() == weight.size(0) && scale.size(0) == weight.size(0);
}

/// Puts weight * scale in the place of the weight. Returns the sentence on what cannot be read,
/// else nothing.
std::string apply_scale(TensorFile& file, const std::string& weight_key, const std::string& key) {
  Tensor& weight = file.tensors.at(weight_key);
  const Tensor& scale = file.tensors.at(key);
  if (!is_readable(weight.scalar_type())) {
    return sentence(file, type_name(weight.scalar_type()) + " with a scale", weight_key);
  }
  if (scaled_weight_of(weight))
    return sentence(file, "scaled fp8", key, "a second scale of one weight");
  if (!at::isFloatingType(scale.scalar_type()) || !is_readable(scale.scalar_type())) {
    return sentence(file, "8 bits with scales of type " + type_name(scale.scalar_type()), key);
  }
  if (!fits_outputs(scale, weight)) {
    return sentence(
        file, "fp8 with a scale per block", key,
        fmt::format("shape {} beside a weight of shape {}, expected one number or one per output",
                    to_string(shape_of(scale)), to_string(shape_of(weight))));
  }
  const Tensor factors = aligned(scale).to(torch::kFloat).reshape({-1}).clone();
  if (!factors.isfinite().all().item<bool>()) {
    return sentence(file, "scaled fp8", key, "the scale is NaN or infinite");
  }
  weight = make_scaled_weight({aligned(weight).contiguous(), factors});
  return "";
}

std::string apply_scales(TensorFile& file) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& [name, tensor] : file.tensors) {
    const auto weight = file.tensors.find(weight_of_scale(name));
    if (weight == file.tensors.end()) continue;
    // Another "_scale" beside a parameter in full precision is a parameter.
    if (is_mark(name) || weight->second.element_size() == 1)
      pairs.emplace_back(weight->first, name);
  }
  for (const auto& [weight, scale] : pairs) {
    if (std::string refusal = apply_scale(file, weight, scale); !refusal.empty()) return refusal;
  }
  for (const auto& [weight, scale] : pairs) {
    file.marks.push_back(scale);
    file.tensors.erase(scale);
  }
  return "";
}

/// The sentence on the tensor `key`, if its type is none of weights.
std::string foreign_type(const TensorFile& file, const std::string& key) {
  const Tensor& tensor = file.tensors.at(key);
  if (is_readable(tensor.scalar_type())) return "";
  const bool is_integer = c10::isIntegralType(tensor.scalar_type(), /*includeBool=*/true);
  return sentence(file, type_name(tensor.scalar_type()) + (is_integer ? " without a scale" : ""),
                  key, "shape " + to_string(shape_of(tensor)));
}

}  // namespace

void read_quantisation(TensorFile& file) {
  file.unreadable = marked_scheme(file);
  if (file.unreadable.empty()) file.unreadable = LayerFormats(file).refusal;
  if (file.unreadable.empty()) file.unreadable = apply_scales(file);
  std::erase_if(file.tensors, [&](const auto& item) {
    if (!is_mark(item.first)) return false;
    file.marks.push_back(item.first);
    return true;
  });
  if (file.unreadable.empty()) file.metadata.erase(kHeaderEntry);
}

TensorFile open_weights(const std::filesystem::path& path) {
  TensorFile file = open_tensor_file(path);
  read_quantisation(file);
  return file;
}

std::string unreadable_file(const TensorFile& file) {
  std::string found = file.unreadable;
  for (const auto& [key, tensor] : file.tensors) {
    if (found.empty() && tensor.numel() > 1) found = foreign_type(file, key);
  }
  return found;
}

std::string unreadable_rows(const TensorFile& file, std::vector<KeyRow>& rows) {
  std::string found = file.unreadable;
  for (const KeyRow& row : rows) {
    if (found.empty() && !row.targets.empty()) found = foreign_type(file, row.key);
  }
  if (found.empty()) return found;
  std::erase_if(rows, [&](const KeyRow& row) {
    return row.op != KeyOp::kCopy && !is_readable(file.tensors.at(row.key).scalar_type());
  });
  return found;
}

void check_readable(const std::string& unreadable) {
  if (!unreadable.empty()) throw Error(unreadable);
}

}  // namespace fourstep
