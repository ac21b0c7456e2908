#include "io/key_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <set>

#include "base/error.h"
#include "io/module_names.h"

namespace fourstep {
namespace {

constexpr std::array<const char*, 3> kProjections = {"q_proj", "k_proj", "v_proj"};

/// What follows `prefix` when `name` begins with it.
std::optional<std::string> without_prefix(const std::string& name, const std::string& prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  return name.substr(prefix.size());
}

bool starts_with_any(const std::string& name, std::initializer_list<const char*> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const char* prefix) { return name.starts_with(prefix); });
}

/// Training state and markers, in any component.
bool is_ignored(const std::string& name, const Shape& shape) {
  if (starts_with_any(name,
                      {"model_ema.", "loss.", "discriminator.", "denoiser.", "optimizer_states."}))
    return true;
  // Noise schedules (betas, ...), counters and markers (v_pred, ztsnr) stand at the top level.
  return shape.size() <= 1 &&
         (name.find('.') == std::string::npos || name.starts_with("edm_vpred."));
}

KeyRow make_row(Component component, const std::string& key, const std::string& target,
                KeyOp op = KeyOp::kCopy) {
  return {key, component, {target}, op};
}

using RowMaker = std::function<std::optional<KeyRow>(const std::string& name, const Shape& shape)>;

RowMaker unet_rows(const NamedShapes& unet) {
  if (!unet.count("input_blocks.0.0.weight"))
    return [](const std::string& name, const Shape&) -> std::optional<KeyRow> {
      if (!starts_with_any(name,
                           {"conv_in.", "conv_out.", "conv_norm_out.", "time_embedding.linear_",
                            "add_embedding.linear_", "down_blocks.", "mid_block.", "up_blocks."}))
        return std::nullopt;
      return make_row(Component::kUnet, name, name);
    };
  return [modules = unet_modules(unet_layout_from_ldm(unet))](
             const std::string& name, const Shape&) -> std::optional<KeyRow> {
    const auto target = renamed(modules, name);
    return target ? std::optional(make_row(Component::kUnet, name, *target)) : std::nullopt;
  };
}

/// Attention of older diffusers files -> today's names.
const ModuleNames& old_vae_attention() {
  static const ModuleNames names = [] {
    ModuleNames result;
    for (const std::string half : {"encoder.", "decoder."}) {
      const std::string attention = half + "mid_block.attentions.0.";
      result[attention + "query"] = attention + "to_q";
      result[attention + "key"] = attention + "to_k";
      result[attention + "value"] = attention + "to_v";
      result[attention + "proj_attn"] = attention + "to_out.0";
    }
    return result;
  }();
  return names;
}

bool is_diffusers_vae_name(const std::string& name) {
  for (const std::string half : {"encoder.", "decoder."})
    for (const char* part : {"down_blocks.", "up_blocks.", "mid_block.", "conv_norm_out."})
      if (name.starts_with(half + part)) return true;
  return false;
}

RowMaker vae_rows(const NamedShapes& vae) {
  return [modules = vae_modules(vae_layout_from_ldm(vae))](
             const std::string& name, const Shape& shape) -> std::optional<KeyRow> {
    std::optional<std::string> target = renamed(modules, name);
    if (!target && is_diffusers_vae_name(name))
      target = renamed(old_vae_attention(), name).value_or(name);
    if (!target) return std::nullopt;
    const bool is_attention = target->find(".attentions.") != std::string::npos;
    const KeyOp op = is_attention && shape.size() == 4 ? KeyOp::kSqueeze1x1 : KeyOp::kCopy;
    return make_row(Component::kVae, name, *target, op);
  };
}

/// The names of transformers; some writers leave "text_model." out.
std::optional<KeyRow> hf_text_row(Component component, const std::string& name) {
  if (name == "text_projection.weight") {
    // Only the second encoder's is used; some programs save one with the first as well.
    if (component == Component::kTextEncoder) return KeyRow{name, component, {}, KeyOp::kDrop};
    return make_row(component, name, name);
  }
  const std::string inner = without_prefix(name, "text_model.").value_or(name);
  if (inner == "embeddings.position_ids") return KeyRow{name, component, {}, KeyOp::kDrop};
  if (!starts_with_any(inner, {"embeddings.", "encoder.layers.", "final_layer_norm."}))
    return std::nullopt;
  return make_row(component, name, "text_model." + inner);
}

/// attn.in_proj_weight/_bias of an open_clip layer: q, k and v in one.
std::optional<KeyRow> in_projection_row(Component component, const std::string& name) {
  const auto inner = without_prefix(name, "transformer.resblocks.");
  const size_t at = inner ? inner->find(".attn.in_proj_") : std::string::npos;
  if (at == std::string::npos) return std::nullopt;
  KeyRow row{name, component, {}, KeyOp::kSplit3};
  const std::string kind = inner->substr(at + std::string(".attn.in_proj_").size());
  for (const char* projection : kProjections)
    row.targets.push_back(fmt::format("text_model.encoder.layers.{}.self_attn.{}.{}",
                                      inner->substr(0, at), projection, kind));
  return row;
}

RowMaker text_rows(Component component, const NamedShapes& text) {
  const int64_t layers = count_numbered(text, "transformer.resblocks.");
  return [component, modules = open_clip_modules(layers)](const std::string& name,
                                                          const Shape&) -> std::optional<KeyRow> {
    if (name == "logit_scale") return KeyRow{name, component, {}, KeyOp::kDrop};
    if (name == "text_projection" && component == Component::kTextEncoder)
      return KeyRow{name, component, {}, KeyOp::kDrop};
    if (name == "text_projection")
      return make_row(component, name, "text_projection.weight", KeyOp::kTranspose);
    if (const auto row = in_projection_row(component, name)) return row;
    if (const auto target = renamed(modules, name)) return make_row(component, name, *target);
    return hf_text_row(component, name);
  };
}

RowMaker row_maker(Component component, const NamedShapes& tensors) {
  if (component == Component::kUnet) return unet_rows(tensors);
  if (component == Component::kVae) return vae_rows(tensors);
  return text_rows(component, tensors);
}

/// A prefix under which files keep (a part of) a component.
struct Prefix {
  std::string text;
  Component component;
};

/// The first of `candidates` under which one of the `signs` stands.
std::optional<std::string> find_prefix(const NamedShapes& file,
                                       std::initializer_list<const char*> candidates,
                                       std::initializer_list<const char*> signs) {
  for (const std::string prefix : candidates)
    for (const char* sign : signs)
      if (file.count(prefix + sign)) return prefix;
  return std::nullopt;
}

/// The prefixes in use; where two fit a name, the first counts.
std::vector<Prefix> prefixes_of(const NamedShapes& file) {
  std::vector<Prefix> prefixes = {
      {"conditioner.embedders.0.model.", Component::kTextEncoder2},
      {"conditioner.embedders.0.transformer.", Component::kTextEncoder},
      {"conditioner.embedders.0.", Component::kTextEncoder},
      {"conditioner.embedders.1.model.", Component::kTextEncoder2},
      {"conditioner.embedders.1.transformer.", Component::kTextEncoder2},
      {"conditioner.embedders.1.", Component::kTextEncoder2},
      {"cond_stage_model.transformer.", Component::kTextEncoder},
      {"cond_stage_model.model.", Component::kTextEncoder},
      {"cond_stage_model.", Component::kTextEncoder},
      {"text_encoder.", Component::kTextEncoder},
      {"text_encoder_2.", Component::kTextEncoder2}};
  const auto unet =
      find_prefix(file, {"model.diffusion_model.", "diffusion_model.", "unet.", "module.", ""},
                  {"input_blocks.0.0.weight", "conv_in.weight"});
  const auto vae = find_prefix(file, {"first_stage_model.", "vae.", "module.", ""},
                               {"encoder.conv_in.weight", "decoder.conv_in.weight"});
  if (vae) prefixes.push_back({*vae, Component::kVae});
  if (unet) prefixes.push_back({*unet, Component::kUnet});
  // The empty prefix takes all that is left.
  std::stable_sort(prefixes.begin(), prefixes.end(), [](const Prefix& a, const Prefix& b) {
    return !a.text.empty() && b.text.empty();
  });
  return prefixes;
}

/// Adds the rows of `part`, whose names stand under `prefix` in the file.
void append(KeyTable& table, KeyTable part, const std::string& prefix) {
  for (KeyRow& row : part.rows) {
    row.key = prefix + row.key;
    table.rows.push_back(std::move(row));
  }
  for (const std::string& name : part.ignored) table.ignored.push_back(prefix + name);
  for (const std::string& name : part.unknown) table.unknown.push_back(prefix + name);
}

/// Rows whose target is taken already become unknown.
void drop_second_claims(KeyTable& table) {
  std::set<std::pair<Component, std::string>> taken;
  std::erase_if(table.rows, [&](const KeyRow& row) {
    bool is_first = true;
    for (const std::string& target : row.targets)
      is_first = taken.emplace(row.component, target).second && is_first;
    if (!is_first) table.unknown.push_back(row.key);
    return !is_first;
  });
}

/// Throws Error unless `tensor` has `rank` dimensions.
void check_rank(const KeyRow& row, const Tensor& tensor, int64_t rank) {
  if (tensor.dim() != rank)
    throw Error("key \"{}\": shape {}, expected {} dimensions", row.key,
                to_string(shape_of(tensor)), rank);
}

Tensor squeezed_1x1(const KeyRow& row, const Tensor& tensor) {
  check_rank(row, tensor, 4);
  check_shape(tensor, {-1, -1, 1, 1}, fmt::format("key \"{}\"", row.key));
  return tensor.squeeze(3).squeeze(2);
}

Tensor third(const KeyRow& row, const Tensor& tensor, int64_t index) {
  if (tensor.dim() == 0 || tensor.size(0) % 3 != 0)
    throw Error("key \"{}\": shape {} cannot be split in query, key and value", row.key,
                to_string(shape_of(tensor)));
  const int64_t length = tensor.size(0) / 3;
  return tensor.narrow(0, index * length, length);
}

}  // namespace

KeyTable component_key_table(Component component, const NamedShapes& tensors) {
  const RowMaker make = row_maker(component, tensors);
  KeyTable table;
  for (const auto& [name, shape] : tensors) {
    if (auto row = make(name, shape))
      table.rows.push_back(std::move(*row));
    else if (is_ignored(name, shape))
      table.ignored.push_back(name);
    else
      table.unknown.push_back(name);
  }
  drop_second_claims(table);
  return table;
}

KeyTable key_table(const NamedShapes& file) {
  const std::vector<Prefix> prefixes = prefixes_of(file);
  std::vector<NamedShapes> groups(prefixes.size());
  KeyTable table;
  for (const auto& [name, shape] : file) {
    const auto fits = [&](const Prefix& prefix) { return name.starts_with(prefix.text); };
    const auto prefix = std::find_if(prefixes.begin(), prefixes.end(), fits);
    if (is_ignored(name, shape))
      table.ignored.push_back(name);
    else if (prefix == prefixes.end())
      table.unknown.push_back(name);
    else
      groups[prefix - prefixes.begin()][name.substr(prefix->text.size())] = shape;
  }
  for (size_t i = 0; i < groups.size(); ++i)
    append(table, component_key_table(prefixes[i].component, groups[i]), prefixes[i].text);
  drop_second_claims(table);
  return table;
}

void apply_row(const KeyRow& row, const Tensor& tensor,
               std::map<Component, NamedTensors>& components) {
  if (row.op == KeyOp::kDrop) return;
  NamedTensors& out = components[row.component];
  switch (row.op) {
    case KeyOp::kSqueeze1x1:
      out[row.targets.at(0)] = squeezed_1x1(row, tensor);
      break;
    case KeyOp::kSplit3:
      for (size_t i = 0; i < row.targets.size(); ++i)
        out[row.targets[i]] = third(row, tensor, static_cast<int64_t>(i));
      break;
    case KeyOp::kTranspose:
      check_rank(row, tensor, 2);
      out[row.targets.at(0)] = tensor.t();
      break;
    default:
      out[row.targets.at(0)] = tensor;
  }
}

void apply_rows(const std::vector<KeyRow>& rows, const NamedTensors& tensors,
                std::map<Component, NamedTensors>& components) {
  for (const KeyRow& row : rows) apply_row(row, tensors.at(row.key), components);
}

}  // namespace fourstep
