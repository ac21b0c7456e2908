#include "io/checkpoint.h"

#include <charconv>
#include <utility>

#include "base/error.h"
#include "io/diffusers_folder.h"
#include "io/key_names.h"
#include "io/module_names.h"
#include "io/quantisation.h"

namespace fourstep {
namespace {

namespace fs = std::filesystem;

/// Marker tensors (NoobAI and ComfyUI saves) and ModelSpec metadata.
void read_prediction(const TensorFile& file, Checkpoint& checkpoint) {
  const std::string type = entry_of(file.metadata, "modelspec.prediction_type");
  const bool is_v = file.tensors.count("v_pred") || type == "v" || type == "v_prediction" ||
                    entry_of(file.metadata, "modelspec.predict_key") == "v";
  checkpoint.prediction = is_v ? Prediction::kV : Prediction::kEps;
  checkpoint.zero_terminal_snr =
      file.tensors.count("ztsnr") || entry_of(file.metadata, "ss_zero_terminal_snr") == "True";
}

std::string layout_of(const Checkpoint& checkpoint, size_t num_files) {
  const std::string shards = num_files > 1 ? fmt::format(" in {} shards", num_files) : "";
  if (checkpoint.components.size() > 1) return "single file" + shards;
  return (checkpoint.has(Component::kUnet) ? "UNet file" : "file") + shards;
}

NamedShapes unet_shapes(const Checkpoint& checkpoint) {
  const auto unet = checkpoint.components.find(Component::kUnet);
  return unet == checkpoint.components.end() ? NamedShapes() : shapes_of(unet->second);
}

/// The folder that holds a VAE's weights, when `path` is a folder.
fs::path vae_folder(const fs::path& path) {
  return fs::is_directory(path / "vae") ? path / "vae" : path;
}

/// The tensors of a VAE under diffusers names; empty when there are none. Throws Error when they are quantised.
NamedTensors vae_tensors(const TensorFile& file) {
  std::map<Component, NamedTensors> components;
  std::vector<KeyRow> rows = key_table(shapes_of(file.tensors)).rows;
  std::erase_if(rows, [](const KeyRow& row) { return row.component != Component::kVae; });
  check_readable(unreadable_rows(file, rows));
  apply_rows(rows, file.tensors, components);
  return std::move(components[Component::kVae]);
}

/// A decoder that was saved by itself, without "decoder." before its names; other tensors as they are.
NamedTensors with_decoder_prefix(const NamedTensors& file) {
  const NamedShapes shapes = shapes_of(file);
  const bool goes_up = has_prefix(shapes, "up_blocks.") || has_prefix(shapes, "up.");
  const bool is_unet = has_prefix(shapes, "time_embed") || has_prefix(shapes, "down");
  if (!goes_up || is_unet || !shapes.count("conv_in.weight")) return file;
  NamedTensors renamed;
  for (const auto& [name, tensor] : file)
    renamed[(name.starts_with("post_quant_conv.") ? "" : "decoder.") + name] = tensor;
  return renamed;
}

}  // namespace

int64_t native_side_of(const Checkpoint& checkpoint) {
  constexpr int64_t kSmallest = 64, kLargest = 16384;
  const std::string text = entry_of(checkpoint.metadata, "modelspec.resolution");
  int64_t side = 0;
  std::from_chars(text.data(), text.data() + text.size(), side);
  if (side >= kSmallest && side <= kLargest) return side;
  return checkpoint.family == Family::kSd15 ? 512 : 1024;
}

void set_metadata(Checkpoint& checkpoint, const Metadata& metadata) {
  checkpoint.metadata = metadata;
  checkpoint.merges_text = entry_of(metadata, "fourstep.merges");
}

ModelSource model_source_of(const TensorFile& file) {
  ModelSource source;
  Checkpoint& checkpoint = source.checkpoint;
  checkpoint.path = file.path;
  set_metadata(checkpoint, file.metadata);
  checkpoint.hints = hints_from_metadata(file.metadata);
  const NamedShapes shapes = shapes_of(file.tensors);
  KeyTable table = key_table(shapes);
  source.unreadable = unreadable_rows(file, table.rows);
  try {
    apply_rows(table.rows, file.tensors, checkpoint.components);
  } catch (const Error& error) {
    throw Error("\"{}\": {}", file.path.string(), error.what());
  }
  source.recognition = recognise(shapes, unet_shapes(checkpoint));
  if (source.recognition.family) checkpoint.family = *source.recognition.family;
  read_prediction(file, checkpoint);
  source.layout = layout_of(checkpoint, file.num_files);
  source.num_tensors = file.tensors.size() + file.marks.size();
  source.unknown_keys = std::move(table.unknown);
  source.ignored_keys = std::move(table.ignored);
  source.ignored_keys.insert(source.ignored_keys.end(), file.marks.begin(), file.marks.end());
  return source;
}

ModelSource open_model_source(const fs::path& path) {
  return fs::is_directory(path) ? open_diffusers_folder(path) : model_source_of(open_weights(path));
}

std::string refusal(const ModelSource& source) {
  // Of another kind of model that is what counts first; one with a UNet, or of unknown kind, may be so by quantisation.
  const bool is_kind_known =
      !source.checkpoint.has(Component::kUnet) && !is_unknown(source.recognition);
  if (!source.unreadable.empty() && !is_kind_known) return source.unreadable;
  if (source.recognition.family) return "";
  return fmt::format("\"{}\": found {}, which is no checkpoint for this; {}",
                     source.checkpoint.path.string(), source.recognition.name,
                     source.recognition.advice);
}

Checkpoint open_checkpoint(const fs::path& path) {
  ModelSource source = open_model_source(path);
  if (const std::string reason = refusal(source); !reason.empty()) throw Error(reason);
  return std::move(source.checkpoint);
}

NamedTensors open_vae(const fs::path& path) {
  TensorFile file =
      fs::is_directory(path) ? read_network_folder(vae_folder(path)) : open_weights(path);
  check_readable(file.unreadable);
  file.tensors = with_decoder_prefix(file.tensors);
  if (NamedTensors tiny = tiny_vae_tensors(file.tensors); !tiny.empty()) {
    check_readable(unreadable_file(file));
    return tiny;
  }
  NamedTensors vae = vae_tensors(file);
  if (vae.count("decoder.conv_in.weight")) return vae;
  throw Error("\"{}\": found {}, not a VAE with a decoder", path.string(),
              model_source_of(file).recognition.name);
}

ArchitectureHints open_vae_hints(const fs::path& path) {
  ArchitectureHints all;
  if (fs::is_directory(path))
    add_config_hints(Component::kVae, vae_folder(path) / "config.json", all);
  else
    all = hints_from_metadata(open_tensor_file(path).metadata);
  ArchitectureHints hints;
  hints.vae_scaling_factor = all.vae_scaling_factor;
  hints.vae_force_upcast = all.vae_force_upcast;
  return hints;
}

}  // namespace fourstep
