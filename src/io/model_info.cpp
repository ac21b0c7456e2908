#include "io/model_info.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/scaled_weight.h"
#include "io/checkpoint.h"
#include "io/module_names.h"
#include "io/tensor_file.h"
#include "io/text_encoding.h"

namespace fourstep {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMetadataBytes = 200;
constexpr size_t kUnknownShown = 5;

std::string dtype_name(torch::ScalarType type) {
  const FileDtype* dtype = find_file_dtype(type);
  return dtype ? std::string(dtype->name) : c10::toString(type);
}

ComponentInfo component_info(Component component, const NamedTensors& tensors) {
  ComponentInfo info;
  info.component = component;
  std::map<std::string, int64_t> parameters;
  for (const auto& [name, tensor] : tensors) {
    const ScaledWeight* scaled = scaled_weight_of(tensor);
    const Tensor& stored = scaled ? scaled->codes : tensor;
    const std::string dtype = dtype_name(stored.scalar_type());
    ++info.tensors;
    info.parameters += tensor.numel();
    info.bytes += tensor.numel() * stored.element_size();
    const char* form = !scaled                      ? "{}"
                       : stored.element_size() == 1 ? "scaled fp8 ({})"
                                                    : "scaled {}";
    parameters[fmt::format(fmt::runtime(form), dtype)] += tensor.numel();
  }
  std::vector<std::pair<int64_t, std::string>> order;
  for (const auto& [name, count] : parameters) order.emplace_back(-count, name);
  std::sort(order.begin(), order.end());
  for (const auto& [count, name] : order) info.dtypes += (info.dtypes.empty() ? "" : ", ") + name;
  return info;
}

std::string shortened(const std::string& text) {
  if (text.size() <= kMetadataBytes) return text;
  size_t end = kMetadataBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
    --end;  // whole characters
  return fmt::format("{}... ({} bytes)", text.substr(0, end), text.size());
}

/// The length of the last dimension of a weight; 0 when it is absent.
int64_t width_of(const NamedShapes& shapes, const std::string& name, size_t dim) {
  const auto found = shapes.find(name);
  return found == shapes.end() || found->second.size() <= dim ? 0 : found->second[dim];
}

void add_architecture(const Checkpoint& checkpoint, ModelInfo& info) {
  const std::string layers = "text_model.encoder.layers.";
  const std::string embedding = "text_model.embeddings.token_embedding.weight";
  for (const auto& [component, tensors] : checkpoint.components) {
    const NamedShapes shapes = shapes_of(tensors);
    if (component == Component::kUnet) {
      info.unet = unet_facts(shapes);
    } else if (component == Component::kVae) {
      info.latent_channels = width_of(shapes, "decoder.conv_in.weight", 1);
    } else {
      const bool is_second = component == Component::kTextEncoder2;
      (is_second ? info.text_width_2 : info.text_width) = width_of(shapes, embedding, 1);
      (is_second ? info.text_layers_2 : info.text_layers) = count_numbered(shapes, layers);
    }
  }
}

ordered_json components_json(const ModelInfo& info) {
  ordered_json list = ordered_json::array();
  for (const ComponentInfo& component : info.components)
    list.push_back({{"name", to_string(component.component)},
                    {"tensors", component.tensors},
                    {"parameters", component.parameters},
                    {"bytes", component.bytes},
                    {"files", component.files},
                    {"dtypes", component.dtypes}});
  return list;
}

ordered_json incomplete_json(const ModelInfo& info) {
  ordered_json list = ordered_json::array();
  for (const Shortage& shortage : info.incomplete)
    list.push_back({{"name", to_string(shortage.component)},
                    {"missing_weights", shortage.names},
                    {"sentence", shortage.sentence()}});
  return list;
}

ordered_json architecture_json(const ModelInfo& info) {
  const UNetFacts& unet = info.unet;
  return {{"in_channels", unet.in_channels},
          {"out_channels", unet.out_channels},
          {"channels", unet.channels},
          {"down_depth", unet.down_depth},
          {"mid_depth", unet.mid_depth},
          {"up_depth", unet.up_depth},
          {"cross_width", unet.cross_width},
          {"added_width", unet.added_width},
          {"linear_projection", unet.has_linear_projection},
          {"heads", info.hints.unet_heads},
          {"latent_channels", info.latent_channels},
          {"text_width", info.text_width},
          {"text_layers", info.text_layers},
          {"text_width_2", info.text_width_2},
          {"text_layers_2", info.text_layers_2}};
}

ordered_json hashes_json(const FileHashes& hashes) {
  ordered_json object = {
      {"sha256", hashes.sha256}, {"auto_v1", hashes.auto_v1}, {"auto_v2", hashes.auto_v2}};
  if (hashes.auto_v3) object["auto_v3"] = *hashes.auto_v3;
  return object;
}

std::vector<std::string> names_of(const std::vector<Component>& components) {
  std::vector<std::string> names;
  for (const Component component : components) names.push_back(to_string(component));
  return names;
}

/// A line of the table: "label      value".
std::string line(const std::string& label, const std::string& value) {
  return fmt::format("{:<16}{}\n", label, value);
}

/// "0 0 | 2 2 | 10 10": transformer blocks per resnet, levels apart.
std::string depth_text(const std::vector<std::vector<int64_t>>& depth) {
  std::vector<std::string> levels;
  for (const auto& level : depth) levels.push_back(fmt::format("{}", fmt::join(level, " ")));
  return fmt::format("{}", fmt::join(levels, " | "));
}

std::string unet_text(const ModelInfo& info) {
  const UNetFacts& unet = info.unet;
  std::string text = line("channels", fmt::format("{}", fmt::join(unet.channels, " ")));
  text += line("depth down", depth_text(unet.down_depth));
  text += line("depth middle", fmt::format("{}", unet.mid_depth));
  text += line("depth up", depth_text(unet.up_depth));
  if (!info.hints.unet_heads.empty())
    text += line("heads", fmt::format("{}", fmt::join(info.hints.unet_heads, " ")));
  text += line("context width", fmt::format("{}", unet.cross_width));
  if (unet.added_width > 0) text += line("added width", fmt::format("{}", unet.added_width));
  return text;
}

std::string components_text(const ModelInfo& info) {
  std::string text;
  for (const ComponentInfo& part : info.components)
    text += line(to_string(part.component),
                 fmt::format("{} tensors, {} parameters, {:.1f} MB, {}{}", part.tensors,
                             part.parameters, part.bytes / 1e6, part.dtypes,
                             part.files > 1 ? fmt::format(", {} shards", part.files) : ""));
  if (!info.missing.empty())
    text += line("missing", fmt::format("{}", fmt::join(names_of(info.missing), ", ")));
  for (const Shortage& shortage : info.incomplete) text += line("incomplete", shortage.sentence());
  return text;
}

std::string hashes_text(const FileHashes& hashes) {
  std::string text = line("sha256", hashes.sha256) + line("AutoV1", hashes.auto_v1) +
                     line("AutoV2", hashes.auto_v2);
  if (hashes.auto_v3) text += line("AutoV3", *hashes.auto_v3);
  return text;
}

std::string tensors_text(const ModelInfo& info) {
  std::string text = line("tensors", fmt::format("{} ({} ignored, {} unknown)", info.num_tensors,
                                                 info.num_ignored, info.num_unknown));
  for (const std::string& name : info.first_unknown) text += line("  unknown", printable(name));
  return text;
}

}  // namespace

ModelInfo describe_model(const std::filesystem::path& path) {
  const ModelSource source = open_model_source(path);
  const Checkpoint& checkpoint = source.checkpoint;
  ModelInfo info;
  info.path = path;
  info.name = source.recognition.name;
  info.refusal = refusal(source);
  info.layout = source.layout;
  info.prediction = checkpoint.prediction;
  info.zero_terminal_snr = checkpoint.zero_terminal_snr;
  info.hints = checkpoint.hints;
  for (const auto& [component, tensors] : checkpoint.components) {
    info.components.push_back(component_info(component, tensors));
    const auto files = source.num_files.find(component);
    if (files != source.num_files.end()) info.components.back().files = files->second;
  }
  info.notices = checkpoint.notices;
  if (source.recognition.family) {
    for (Shortage& shortage : shortages_of(checkpoint)) {
      if (shortage.names.empty())
        info.missing.push_back(shortage.component);
      else
        info.incomplete.push_back(std::move(shortage));
    }
  }
  const auto vae = checkpoint.components.find(Component::kVae);
  if (vae != checkpoint.components.end() && !is_tiny_vae(vae->second) &&
      is_decoder_only(shapes_of(vae->second)))
    info.notices.emplace_back("the VAE is a decoder alone: it makes images, and cannot encode any");
  add_architecture(checkpoint, info);
  info.num_tensors = source.num_tensors;
  info.num_ignored = source.ignored_keys.size();
  info.num_unknown = source.unknown_keys.size();
  info.first_unknown.assign(
      source.unknown_keys.begin(),
      source.unknown_keys.begin() + std::min(kUnknownShown, info.num_unknown));
  for (const auto& [key, value] : checkpoint.metadata) info.metadata[key] = shortened(value);
  return info;
}

std::string model_info_json(const ModelInfo& info) {
  ordered_json object = {
      {"path", info.path.string()}, {"family", info.name}, {"layout", info.layout}};
  object["can_be_sampled"] = info.refusal.empty();
  if (!info.refusal.empty()) object["refusal"] = info.refusal;
  if (info.refusal.empty()) {
    object["prediction"] = to_string(info.prediction);
    object["zero_terminal_snr"] = info.zero_terminal_snr;
  }
  object["components"] = components_json(info);
  object["missing"] = names_of(info.missing);
  object["incomplete"] = incomplete_json(info);
  object["architecture"] = architecture_json(info);
  object["tensors"] = {
      {"total", info.num_tensors}, {"ignored", info.num_ignored}, {"unknown", info.num_unknown}};
  object["first_unknown"] = info.first_unknown;
  object["notices"] = info.notices;
  if (info.hashes) object["hashes"] = hashes_json(*info.hashes);
  object["metadata"] = info.metadata;
  // Names in files need not be UTF-8: what is not becomes U+FFFD.
  return object.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

std::string model_info_text(const ModelInfo& info) {
  std::string text =
      line("file", info.path.string()) + line("family", info.name) + line("layout", info.layout);
  if (!info.refusal.empty()) text += line("cannot be used", info.refusal);
  if (info.refusal.empty())
    text += line("prediction", fmt::format("{}{}", to_string(info.prediction),
                                           info.zero_terminal_snr ? ", zero terminal SNR" : ""));
  text += components_text(info);
  if (info.unet.in_channels > 0) text += unet_text(info);
  text += tensors_text(info);
  for (const std::string& notice : info.notices) text += line("note", notice);
  if (info.hashes) text += hashes_text(*info.hashes);
  for (const auto& [key, value] : info.metadata)
    text += line("metadata", printable(key) + " = " + printable(value, 2 * kMetadataBytes));
  return text;
}

}  // namespace fourstep
