#include "io/single_file.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/scaled_weight.h"
#include "io/module_names.h"

namespace fourstep {
namespace {

constexpr const char* kUnetPrefix = "model.diffusion_model.";
constexpr const char* kVaePrefix = "first_stage_model.";
constexpr const char* kTextPrefix15 = "cond_stage_model.transformer.";
constexpr const char* kTextPrefix = "conditioner.embedders.0.transformer.";
constexpr const char* kTextPrefix2 = "conditioner.embedders.1.model.";

std::optional<KeyRow> renamed_row(const ModuleNames& names, Component component, const char* prefix,
                                  const std::string& name) {
  const auto key = renamed(names, name);
  if (!key) return std::nullopt;
  return KeyRow{prefix + *key, component, {name}, KeyOp::kCopy};
}

std::optional<KeyRow> vae_row(const ModuleNames& names, const std::string& name,
                              const Shape& shape) {
  auto row = renamed_row(names, Component::kVae, kVaePrefix, name);
  const bool is_attention = name.find(".attentions.") != std::string::npos;
  if (row && is_attention && shape.size() == 2) row->op = KeyOp::kSqueeze1x1;
  return row;
}

/// The row of the fused projection, given for its q part; k and v parts have no row of their own.
KeyRow in_projection_row(const std::string& q_name) {
  const std::string stem = "text_model.encoder.layers.", part = ".self_attn.q_proj.";
  const size_t at = q_name.find(part);
  const std::string layer = q_name.substr(stem.size(), at - stem.size());
  const std::string kind = q_name.substr(at + part.size());
  KeyRow row{fmt::format("{}transformer.resblocks.{}.attn.in_proj_{}", kTextPrefix2, layer, kind),
             Component::kTextEncoder2,
             {},
             KeyOp::kSplit3};
  for (const char* projection : {"q", "k", "v"})
    row.targets.push_back(fmt::format("{}{}.self_attn.{}_proj.{}", stem, layer, projection, kind));
  return row;
}

std::vector<KeyRow> text_rows_2(const NamedShapes& text) {
  const ModuleNames names =
      inverted(open_clip_modules(count_numbered(text, "text_model.encoder.layers.")));
  std::vector<KeyRow> rows;
  for (const auto& [name, shape] : text) {
    const bool is_projection = name.starts_with("text_model.encoder.layers.") &&
                               name.find(".self_attn.") != std::string::npos &&
                               name.find(".out_proj.") == std::string::npos;
    if (name == "text_projection.weight")
      rows.push_back({std::string(kTextPrefix2) + "text_projection",
                      Component::kTextEncoder2,
                      {name},
                      KeyOp::kTranspose});
    else if (is_projection && name.find(".q_proj.") != std::string::npos)
      rows.push_back(in_projection_row(name));
    else if (auto row = renamed_row(names, Component::kTextEncoder2, kTextPrefix2, name))
      rows.push_back(std::move(*row));
    else if (!is_projection)
      throw Error("single_file_rows: text_encoder_2 parameter \"{}\" has no single-file name",
                  name);
  }
  return rows;
}

std::optional<KeyRow> row_for(Component component, const ModuleNames& names, Family family,
                              const std::pair<const std::string, Shape>& parameter) {
  const auto& [name, shape] = parameter;
  if (component == Component::kUnet) return renamed_row(names, component, kUnetPrefix, name);
  if (component == Component::kVae) return vae_row(names, name, shape);
  const std::string prefix = family == Family::kSd15 ? kTextPrefix15 : kTextPrefix;
  return KeyRow{prefix + name, component, {name}, KeyOp::kCopy};
}

std::vector<KeyRow> component_rows(Component component, const NamedShapes& tensors, Family family) {
  if (component == Component::kTextEncoder2) return text_rows_2(tensors);
  ModuleNames names;
  if (component == Component::kUnet)
    names = inverted(unet_modules(unet_layout_from_diffusers(tensors)));
  if (component == Component::kVae)
    names = inverted(vae_modules(vae_layout_from_diffusers(tensors)));
  std::vector<KeyRow> rows;
  for (const auto& parameter : tensors) {
    auto row = row_for(component, names, family, parameter);
    if (!row)
      throw Error("single_file_rows: {} parameter \"{}\" has no single-file name",
                  to_string(component), parameter.first);
    rows.push_back(std::move(*row));
  }
  return rows;
}

/// The single-file tensor of a row.
Tensor assembled(const KeyRow& row, const NamedTensors& tensors) {
  std::vector<Tensor> parts;
  for (const std::string& name : row.targets) {
    const auto found = tensors.find(name);
    if (found == tensors.end())
      throw Error("single_file_of: {} lacks \"{}\", a part of \"{}\"", to_string(row.component),
                  name, row.key);
    parts.push_back(found->second);
    if (row.op == KeyOp::kSplit3 || row.op == KeyOp::kTranspose)
      parts.back() = aligned(parts.back());
  }
  switch (row.op) {
    case KeyOp::kSqueeze1x1:
      return parts[0].unsqueeze(2).unsqueeze(3).contiguous();
    case KeyOp::kSplit3:
      return torch::cat(parts);
    case KeyOp::kTranspose:
      return parts[0].t().contiguous();
    default:
      return parts[0].contiguous();
  }
}

}  // namespace

std::vector<KeyRow> single_file_rows(const std::map<Component, NamedShapes>& components,
                                     Family family) {
  std::vector<KeyRow> rows;
  for (const auto& [component, tensors] : components)
    for (KeyRow& row : component_rows(component, tensors, family)) rows.push_back(std::move(row));
  return rows;
}

TensorFile single_file_of(const Checkpoint& checkpoint) {
  TensorFile file;
  std::map<Component, NamedShapes> shapes;
  for (const auto& [component, tensors] : checkpoint.components)
    shapes[component] = shapes_of(tensors);
  for (const KeyRow& row : single_file_rows(shapes, checkpoint.family))
    file.tensors[row.key] = assembled(row, checkpoint.components.at(row.component));
  if (checkpoint.has(Component::kTextEncoder2)) {
    const Tensor& any = checkpoint.components.at(Component::kTextEncoder2).begin()->second;
    const auto dtype = scaled_weight_of(any) ? torch::kFloat : any.scalar_type();
    file.tensors[std::string(kTextPrefix2) + "logit_scale"] =
        torch::full({}, std::log(100.0), dtype);
  }
  if (checkpoint.prediction == Prediction::kV) file.tensors["v_pred"] = torch::zeros({0});
  if (checkpoint.zero_terminal_snr) file.tensors["ztsnr"] = torch::zeros({0});
  file.metadata = checkpoint.metadata;
  for (const auto& [key, text] : metadata_from_hints(checkpoint.hints)) file.metadata[key] = text;
  if (!checkpoint.merges_text.empty()) file.metadata["fourstep.merges"] = checkpoint.merges_text;
  return file;
}

std::map<std::string, std::string> ldm_unet_names(const NamedShapes& unet) {
  const ModuleNames modules = inverted(unet_modules(unet_layout_from_diffusers(unet)));
  std::map<std::string, std::string> names;
  for (const auto& [name, shape] : unet)
    if (const auto ldm = renamed(modules, name)) names[name] = *ldm;
  return names;
}

}  // namespace fourstep
