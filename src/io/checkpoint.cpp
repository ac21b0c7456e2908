#include "io/checkpoint.h"

#include <fmt/format.h>
#include <algorithm>
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

/// The tensors of a VAE under diffusers names; empty when there are none. Throws Error when they
/// are quantised.
NamedTensors vae_tensors(const TensorFile& file) {
  std::map<Component, NamedTensors> components;
  std::vector<KeyRow> rows = key_table(shapes_of(file.tensors)).rows;
  std::erase_if(rows, [](const KeyRow& row) { return row.component != Component::kVae; });
  check_readable(unreadable_rows(file, rows));
  apply_rows(rows, file.tensors, components);
  return std::move(components[Component::kVae]);
}

/// A decoder that was saved by itself, without "decoder." before its names; other tensors as they
/// are.
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
  // Of another kind of model that is what counts first; one with a UNet, or of unknown kind, may be
  // so by quantisation.
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

namespace {

using fmt::format;

/// One more than the largest n of the names "<stem><n>.": a gap does not end it.
int64_t end_of_numbers(const NamedShapes& shapes, const std::string& stem) {
  int64_t end = 0;
  for (auto it = shapes.lower_bound(stem); it != shapes.end() && it->first.starts_with(stem);
       ++it) {
    int64_t number = 0;
    const char* first = it->first.data() + stem.size();
    const auto [rest, error] = std::from_chars(first, it->first.data() + it->first.size(), number);
    if (error == std::errc() && rest != first && *rest == '.') end = std::max(end, number + 1);
  }
  // Nobody has so many blocks; a hostile name must not make a list of a billion.
  constexpr int64_t kMost = 1000;
  return std::min(end, kMost);
}

/// Collects what is not there.
class Gaps {
 public:
  explicit Gaps(const NamedShapes& shapes) : shapes_(shapes) {}

  std::vector<std::string> names;

  bool has(const std::string& prefix) const { return has_prefix(shapes_, prefix); }
  int64_t end(const std::string& stem) const { return end_of_numbers(shapes_, stem); }

  void weight(const std::string& name) {
    if (!shapes_.count(name)) names.push_back(name);
  }
  /// Weights and biases of layers below `prefix`.
  void pairs(const std::string& prefix, std::initializer_list<const char*> layers) {
    for (const char* layer : layers) {
      weight(prefix + layer + ".weight");
      weight(prefix + layer + ".bias");
    }
  }

  void resnet(const std::string& name, bool with_time) {
    pairs(name, {".norm1", ".conv1"});
    if (with_time) pairs(name, {".time_emb_proj"});
    pairs(name, {".norm2", ".conv2"});
    const auto conv = shapes_.find(name + ".conv1.weight");
    const bool changes_width =
        conv != shapes_.end() && conv->second.size() == 4 && conv->second[0] != conv->second[1];
    if (changes_width || has(name + ".conv_shortcut.")) pairs(name, {".conv_shortcut"});
  }

  void transformer(const std::string& name) {
    pairs(name, {".norm", ".proj_in"});
    const std::string blocks = name + ".transformer_blocks.";
    for (int64_t i = 0; i < std::max<int64_t>(end(blocks), 1); ++i) {
      const std::string block = format("{}{}", blocks, i);
      for (const std::string attention : {".attn1", ".attn2"}) {
        for (const char* part : {".to_q", ".to_k", ".to_v"})
          weight(block + attention + part + ".weight");
        pairs(block + attention, {".to_out.0"});
      }
      pairs(block, {".norm1", ".norm2", ".norm3", ".ff.net.0.proj", ".ff.net.2"});
    }
    pairs(name, {".proj_out"});
  }

 private:
  const NamedShapes& shapes_;
};

/// Both halves of a UNet, level by level from the full resolution; each half shows what the other
/// should have.
struct UNetPlan {
  int64_t levels = 0;
  std::vector<int64_t> resnets;  ///< per level of the way down; the way up has one more
  std::vector<bool> has_attention;
};

UNetPlan unet_plan(const Gaps& unet) {
  UNetPlan plan;
  plan.levels = std::max(unet.end("down_blocks."), unet.end("up_blocks."));
  for (int64_t level = 0; level < plan.levels; ++level) {
    const std::string down = format("down_blocks.{}.", level);
    const std::string up = format("up_blocks.{}.", plan.levels - 1 - level);
    plan.resnets.push_back(std::max(unet.end(down + "resnets."), unet.end(up + "resnets.") - 1));
    plan.has_attention.push_back(unet.has(down + "attentions.") || unet.has(up + "attentions."));
  }
  const auto most = std::max_element(plan.resnets.begin(), plan.resnets.end());
  for (int64_t& count : plan.resnets)
    if (count <= 0) count = std::max<int64_t>(*most, 1);
  return plan;
}

void unet_block(Gaps& unet, const std::string& block, int64_t resnets, bool has_attention) {
  for (int64_t i = 0; i < resnets; ++i) {
    unet.resnet(format("{}.resnets.{}", block, i), /*with_time=*/true);
    if (has_attention) unet.transformer(format("{}.attentions.{}", block, i));
  }
}

void unet_gaps(Gaps& unet) {
  const UNetPlan plan = unet_plan(unet);
  unet.pairs("", {"conv_in", "time_embedding.linear_1", "time_embedding.linear_2"});
  if (unet.has("add_embedding."))
    unet.pairs("", {"add_embedding.linear_1", "add_embedding.linear_2"});
  for (int64_t level = 0; level < plan.levels; ++level) {
    const std::string block = format("down_blocks.{}", level);
    unet_block(unet, block, plan.resnets[level], plan.has_attention[level]);
    if (level + 1 < plan.levels) unet.pairs(block, {".downsamplers.0.conv"});
  }
  const bool has_attention = unet.has("mid_block.attentions.") || unet.has("mid_block.resnets.1.");
  unet.resnet("mid_block.resnets.0", /*with_time=*/true);
  if (has_attention) {
    unet.transformer("mid_block.attentions.0");
    unet.resnet("mid_block.resnets.1", /*with_time=*/true);
  }
  for (int64_t step = 0; step < plan.levels; ++step) {
    const std::string block = format("up_blocks.{}", step);
    const int64_t level = plan.levels - 1 - step;
    unet_block(unet, block, plan.resnets[level] + 1, plan.has_attention[level]);
    if (level > 0) unet.pairs(block, {".upsamplers.0.conv"});
  }
  unet.pairs("", {"conv_norm_out", "conv_out"});
}

/// half: "encoder." or "decoder.".
void vae_half_gaps(Gaps& vae, const std::string& half, const std::string& blocks,
                   const std::string& sampler) {
  const int64_t levels = vae.end(half + blocks);
  vae.pairs(half, {"conv_in", "conv_norm_out", "conv_out"});
  for (int i = 0; i < 2; ++i)
    vae.resnet(format("{}mid_block.resnets.{}", half, i), /*with_time=*/false);
  vae.pairs(half + "mid_block.attentions.0.", {"group_norm", "to_q", "to_k", "to_v", "to_out.0"});
  int64_t resnets = 1;
  for (int64_t level = 0; level < levels; ++level)
    resnets = std::max(resnets, vae.end(format("{}{}{}.resnets.", half, blocks, level)));
  for (int64_t level = 0; level < std::max<int64_t>(levels, 1); ++level) {
    const std::string block = format("{}{}{}", half, blocks, level);
    for (int64_t i = 0; i < resnets; ++i)
      vae.resnet(format("{}.resnets.{}", block, i), /*with_time=*/false);
    if (level + 1 < levels) vae.pairs(block, {("." + sampler + ".0.conv").c_str()});
  }
}

void vae_gaps(Gaps& vae) {
  if (vae.has("encoder.")) {
    vae_half_gaps(vae, "encoder.", "down_blocks.", "downsamplers");
    if (vae.has("post_quant_conv.")) vae.pairs("", {"quant_conv"});
  }
  if (vae.has("quant_conv.") && vae.has("encoder.")) vae.pairs("", {"post_quant_conv"});
  vae_half_gaps(vae, "decoder.", "up_blocks.", "upsamplers");
}

/// Of CLIP ViT-L/14 and OpenCLIP ViT-bigG/14; 0 for other widths.
int64_t published_layers(int64_t width) { return width == 768 ? 12 : width == 1280 ? 32 : 0; }

void text_gaps(Gaps& text, const NamedShapes& shapes, bool is_second) {
  const std::string embedding = "text_model.embeddings.token_embedding.weight";
  const auto found = shapes.find(embedding);
  const int64_t width = found != shapes.end() && found->second.size() == 2 ? found->second[1] : 0;
  const std::string layers = "text_model.encoder.layers.";
  const int64_t count = std::max({text.end(layers), published_layers(width), int64_t{1}});
  text.weight(embedding);
  text.weight("text_model.embeddings.position_embedding.weight");
  for (int64_t i = 0; i < count; ++i) {
    text.pairs(format("{}{}.", layers, i),
               {"layer_norm1", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                "self_attn.out_proj", "layer_norm2", "mlp.fc1", "mlp.fc2"});
  }
  text.pairs("text_model.", {"final_layer_norm"});
  if (is_second) text.weight("text_projection.weight");
}

}  // namespace

std::vector<std::string> missing_weights(Component component, const NamedShapes& shapes) {
  Gaps gaps(shapes);
  if (component == Component::kUnet)
    unet_gaps(gaps);
  else if (component == Component::kVae)
    vae_gaps(gaps);
  else
    text_gaps(gaps, shapes, component == Component::kTextEncoder2);
  return std::move(gaps.names);
}

bool is_decoder_only(const NamedShapes& vae) { return !has_prefix(vae, "encoder."); }

}  // namespace fourstep
