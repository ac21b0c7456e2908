#include "io/diffusers_folder.h"

#include <fmt/format.h>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/fields_json.h"
#include "io/key_names.h"
#include "io/module_names.h"
#include "io/quantisation.h"
#include "io/weight_files.h"

namespace fourstep {

namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kHeadWidth = 64, kPixelsPerCell = 8;

int64_t length_of(const NamedShapes& shapes, const std::string& name, size_t dim) {
  const auto found = shapes.find(name);
  return found == shapes.end() || found->second.size() <= dim ? 0 : found->second[dim];
}

Json depths_json(const std::vector<std::vector<int64_t>>& levels) {
  Json json = Json::array();
  for (const std::vector<int64_t>& level : levels) {
    const bool is_even =
        std::adjacent_find(level.begin(), level.end(), std::not_equal_to<>()) == level.end();
    // A level without attention has no transformer; diffusers wants a number there all the same.
    if (is_even)
      json.push_back(level.empty() ? 1 : std::max<int64_t>(level.front(), 1));
    else
      json.push_back(level);
  }
  return json;
}

Json block_types(const std::vector<std::vector<int64_t>>& levels, const std::string& direction) {
  Json types = Json::array();
  for (const std::vector<int64_t>& level : levels) {
    const bool has_attention =
        std::any_of(level.begin(), level.end(), [](int64_t n) { return n > 0; });
    types.push_back((has_attention ? "CrossAttn" : "") + direction + "Block2D");
  }
  return types;
}

/// Published files name the number of heads "attention_head_dim", and so do the programs that read
/// them.
Json heads_json(const Checkpoint& checkpoint, const UNetFacts& facts) {
  if (!checkpoint.hints.unet_heads.empty()) return checkpoint.hints.unet_heads;
  if (facts.added_width == 0) return 8;
  Json heads = Json::array();
  for (const int64_t channels : facts.channels)
    heads.push_back(std::max<int64_t>(channels / kHeadWidth, 1));
  return heads;
}

Json unet_config(const Checkpoint& checkpoint, const NamedShapes& shapes) {
  const UNetFacts facts = unet_facts(shapes);
  const int64_t resnets =
      facts.down_depth.empty() ? 2 : static_cast<int64_t>(facts.down_depth.front().size());
  Json config{
      {"_class_name", "UNet2DConditionModel"},
      {"in_channels", facts.in_channels},
      {"out_channels", facts.out_channels},
      {"block_out_channels", facts.channels},
      {"layers_per_block", resnets},
      {"down_block_types", block_types(facts.down_depth, "Down")},
      {"up_block_types", block_types(facts.up_depth, "Up")},
      {"mid_block_type", facts.mid_depth > 0 ? "UNetMidBlock2DCrossAttn" : "UNetMidBlock2D"},
      {"attention_head_dim", heads_json(checkpoint, facts)},
      {"cross_attention_dim", facts.cross_width},
      {"use_linear_projection", facts.has_linear_projection},
      {"transformer_layers_per_block", depths_json(facts.down_depth)},
      {"norm_num_groups", 32},
      {"sample_size", native_side_of(checkpoint) / kPixelsPerCell}};
  std::vector<std::vector<int64_t>> mirrored(facts.down_depth.rbegin(), facts.down_depth.rend());
  if (depths_json(mirrored) != depths_json(facts.up_depth)) {
    config["reverse_transformer_layers_per_block"] = depths_json(facts.up_depth);
  }
  if (facts.added_width > 0) {
    config["addition_embed_type"] = "text_time";
    config["addition_time_embed_dim"] = 256;
    config["projection_class_embeddings_input_dim"] = facts.added_width;
  }
  return config;
}

Json vae_config(const Checkpoint& checkpoint, const NamedShapes& shapes) {
  const VaeLayout layout = vae_layout_from_diffusers(shapes);
  const auto levels = static_cast<int64_t>(std::max(layout.encoder.size(), layout.decoder.size()));
  Json channels = Json::array(), down = Json::array(), up = Json::array();
  for (int64_t level = 0; level < levels; ++level) {
    const int64_t in_encoder =
        length_of(shapes, fmt::format("encoder.down_blocks.{}.resnets.0.conv1.weight", level), 0);
    const int64_t in_decoder = length_of(
        shapes, fmt::format("decoder.up_blocks.{}.resnets.0.conv1.weight", levels - 1 - level), 0);
    channels.push_back(in_encoder > 0 ? in_encoder : in_decoder);
    down.push_back("DownEncoderBlock2D");
    up.push_back("UpDecoderBlock2D");
  }
  const ArchitectureHints& hints = checkpoint.hints;
  const bool is_sd15 = checkpoint.family == Family::kSd15;
  const double factor = hints.vae_scaling_factor > 0 ? hints.vae_scaling_factor
                        : is_sd15                    ? 0.18215
                                                     : 0.13025;
  Json config{{"_class_name", "AutoencoderKL"},
              {"in_channels", 3},
              {"out_channels", 3},
              {"latent_channels", length_of(shapes, "decoder.conv_in.weight", 1)},
              {"block_out_channels", channels},
              {"layers_per_block", layout.encoder.empty() ? 2 : layout.encoder.front()},
              {"down_block_types", down},
              {"up_block_types", up},
              {"norm_num_groups", 32},
              {"sample_size", native_side_of(checkpoint)},
              {"scaling_factor", factor}};
  if (hints.vae_force_upcast) config["force_upcast"] = *hints.vae_force_upcast;
  return config;
}

Json text_config(const Checkpoint& checkpoint, const NamedShapes& shapes, bool is_second) {
  const ArchitectureHints& hints = checkpoint.hints;
  const int64_t width = length_of(shapes, "text_model.embeddings.token_embedding.weight", 1);
  const int64_t vocab = length_of(shapes, "text_model.embeddings.token_embedding.weight", 0);
  const int64_t heads = is_second ? hints.text_heads_2 : hints.text_heads;
  const std::string& activation = is_second ? hints.text_activation_2 : hints.text_activation;
  const int64_t projection = length_of(shapes, "text_projection.weight", 0);
  const std::string usual = is_second ? "gelu" : "quick_gelu";
  const char* name = is_second ? "CLIPTextModelWithProjection" : "CLIPTextModel";
  return {{"architectures", Json::array({name})},
          {"model_type", "clip_text_model"},
          {"hidden_size", width},
          {"intermediate_size", length_of(shapes, "text_model.encoder.layers.0.mlp.fc1.weight", 0)},
          {"num_hidden_layers", count_numbered(shapes, "text_model.encoder.layers.")},
          {"num_attention_heads", heads > 0 ? heads : std::max<int64_t>(width / kHeadWidth, 1)},
          {"hidden_act", activation.empty() ? usual : activation},
          {"vocab_size", vocab},
          {"max_position_embeddings",
           length_of(shapes, "text_model.embeddings.position_embedding.weight", 0)},
          {"projection_dim", projection > 0 ? projection : width},
          {"layer_norm_eps", 1e-5},
          {"bos_token_id", 0},
          {"eos_token_id", 2},  // transformers takes this as "the token of the largest id"
          {"pad_token_id", 1}};
}

Json scheduler_config(const Checkpoint& checkpoint) {
  return {{"_class_name", "EulerDiscreteScheduler"},
          {"beta_start", 0.00085},
          {"beta_end", 0.012},
          {"beta_schedule", "scaled_linear"},
          {"num_train_timesteps", 1000},
          {"prediction_type", to_string(checkpoint.prediction)},
          {"rescale_betas_zero_snr", checkpoint.zero_terminal_snr},
          {"timestep_spacing", checkpoint.zero_terminal_snr ? "trailing" : "leading"},
          {"steps_offset", 1}};
}

/// [library, class] of every part; absent ones are [null, null].
Json model_index(const Checkpoint& checkpoint) {
  const bool is_sd15 = checkpoint.family == Family::kSd15;
  const auto entry = [](bool is_there, const char* library, const char* name) {
    return is_there ? Json::array({library, name}) : Json::array({nullptr, nullptr});
  };
  const bool has_text = checkpoint.has(Component::kTextEncoder);
  const bool has_text_2 = checkpoint.has(Component::kTextEncoder2);
  Json index{{"_class_name", is_sd15 ? "StableDiffusionPipeline" : "StableDiffusionXLPipeline"},
             {"unet", entry(checkpoint.has(Component::kUnet), "diffusers", "UNet2DConditionModel")},
             {"vae", entry(checkpoint.has(Component::kVae), "diffusers", "AutoencoderKL")},
             {"scheduler", entry(true, "diffusers", "EulerDiscreteScheduler")},
             {"text_encoder", entry(has_text, "transformers", "CLIPTextModel")},
             {"tokenizer", entry(has_text, "transformers", "CLIPTokenizer")}};
  if (is_sd15) return index;
  index["text_encoder_2"] = entry(has_text_2, "transformers", "CLIPTextModelWithProjection");
  index["tokenizer_2"] = entry(has_text_2, "transformers", "CLIPTokenizer");
  index["force_zeros_for_empty_prompt"] = true;
  return index;
}

Json component_config(const Checkpoint& checkpoint, Component component) {
  const NamedShapes shapes = shapes_of(checkpoint.components.at(component));
  if (component == Component::kUnet) return unet_config(checkpoint, shapes);
  if (component == Component::kVae) return vae_config(checkpoint, shapes);
  return text_config(checkpoint, shapes, component == Component::kTextEncoder2);
}

}  // namespace

std::map<std::string, std::string> diffusers_configs(const Checkpoint& checkpoint) {
  constexpr int kIndent = 2;
  std::map<std::string, std::string> texts;
  texts["model_index.json"] = model_index(checkpoint).dump(kIndent) + "\n";
  texts["scheduler/scheduler_config.json"] = scheduler_config(checkpoint).dump(kIndent) + "\n";
  for (const auto& [component, weights] : checkpoint.components) {
    texts[fmt::format("{}/config.json", to_string(component))] =
        component_config(checkpoint, component).dump(kIndent) + "\n";
  }
  return texts;
}

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kModelIndex = "model_index.json";

/// What model_index.json says.
struct Pipeline {
  std::string class_name;
  std::map<Component, fs::path> folders;
  bool is_refiner = false;
};

Pipeline read_pipeline(const fs::path& folder) {
  const fs::path path = folder / kModelIndex;
  Pipeline pipeline;
  const bool has_index = fs::exists(path);
  const json index = has_index ? read_json_object(path) : json::object();
  pipeline.class_name = json_value<std::string>(index, "_class_name", "", path);
  pipeline.is_refiner = json_value<bool>(index, "requires_aesthetics_score", false, path);
  for (const Component component : all_components()) {
    const std::string name = to_string(component);
    // An absent component is written [null, null].
    const auto entry = index.find(name);
    const bool is_named =
        entry != index.end() && entry->is_array() && !entry->empty() && !entry->front().is_null();
    if ((is_named || !has_index) && fs::is_directory(folder / name))
      pipeline.folders[component] = folder / name;
  }
  return pipeline;
}

/// The name of a pipeline that has no UNet: "FluxPipeline" -> "Flux".
std::string name_without_unet(const std::string& class_name) {
  if (class_name.find("Flux") != std::string::npos) return "Flux";
  if (class_name.find("StableDiffusion3") != std::string::npos) return "Stable Diffusion 3";
  return class_name.empty() ? "folder without a UNet" : class_name;
}

void refuse(ModelSource& source, const std::string& name) {
  source.recognition = {std::nullopt, name, "use an SDXL, SSD-1B, Segmind-Vega or SD 1.5 model"};
}

void read_scheduler(const fs::path& folder, ModelSource& source) {
  const fs::path path = folder / "scheduler" / "scheduler_config.json";
  if (!fs::exists(path)) return;
  const json config = read_json_object(path);
  const auto type = json_value<std::string>(config, "prediction_type", "epsilon", path);
  source.checkpoint.prediction = type == "v_prediction" ? Prediction::kV : Prediction::kEps;
  source.checkpoint.zero_terminal_snr =
      json_value<bool>(config, "rescale_betas_zero_snr", false, path);
  if (json_value<std::string>(config, "_class_name", "", path).starts_with("EDM"))
    refuse(source, "EDM model (Playground v2.5 or similar)");
  else if (type != "epsilon" && type != "v_prediction")
    refuse(source, fmt::format("model that predicts \"{}\"", type));
}

TensorFile open_network_folder(const fs::path& folder, std::vector<std::string>& notices) {
  const WeightFiles weights = find_weight_files(folder);
  if (!weights.notice.empty()) notices.push_back(weights.notice);
  TensorFile file = read_weight_files(weights);
  file.path = weights.index.empty() ? weights.files.front() : weights.index;
  read_quantisation(file);
  return file;
}

void add_component(Component component, const fs::path& folder, ModelSource& source) {
  TensorFile file = open_network_folder(folder, source.checkpoint.notices);
  const NamedTensors& tensors = file.tensors;
  // A folder of ours keeps there what the single file said of the model.
  if (component == Component::kUnet) {
    file.metadata.erase("format");  // of the container
    set_metadata(source.checkpoint, file.metadata);
  }
  KeyTable table = component_key_table(component, shapes_of(tensors));
  const std::string unreadable = unreadable_rows(file, table.rows);
  if (source.unreadable.empty()) source.unreadable = unreadable;
  apply_rows(table.rows, tensors, source.checkpoint.components);
  add_config_hints(component, folder / "config.json", source.checkpoint.hints);
  const std::string prefix = std::string(to_string(component)) + ".";
  for (const std::string& name : table.unknown) source.unknown_keys.push_back(prefix + name);
  for (const std::string& name : table.ignored) source.ignored_keys.push_back(prefix + name);
  for (const std::string& name : file.marks) source.ignored_keys.push_back(prefix + name);
  source.num_tensors += tensors.size() + file.marks.size();
  source.num_files[component] = file.num_files;
}

/// The verdict by names and shapes, on the names that a file of all components would have.
Recognition recognise_components(const ModelSource& source) {
  NamedShapes file;
  for (const auto& [component, tensors] : source.checkpoint.components)
    for (const auto& [name, tensor] : tensors)
      file[std::string(to_string(component)) + "." + name] = shape_of(tensor);
  for (const std::string& name : source.unknown_keys) file[name];
  const auto unet = source.checkpoint.components.find(Component::kUnet);
  return recognise(
      file, unet == source.checkpoint.components.end() ? NamedShapes() : shapes_of(unet->second));
}

void find_tokenizer(const fs::path& folder, ModelSource& source) {
  for (const char* name : {"tokenizer", "tokenizer_2"})
    if (!source.checkpoint.tokenizer_folder && fs::exists(folder / name / "merges.txt"))
      source.checkpoint.tokenizer_folder = folder / name;
}

/// The folder of one network, with config.json beside the weights, or of a single-file checkpoint
/// cut into shards.
ModelSource open_lone_network(const fs::path& folder) {
  std::vector<std::string> notices;
  TensorFile file = open_network_folder(folder, notices);
  file.path = folder;
  ModelSource source = model_source_of(file);
  source.checkpoint.notices = notices;
  if (source.checkpoint.components.size() <= 1) source.layout = "folder of one network";
  const auto& components = source.checkpoint.components;
  if (!components.empty())
    add_config_hints(components.begin()->first, folder / "config.json", source.checkpoint.hints);
  return source;
}

}  // namespace

bool is_diffusers_folder(const fs::path& folder) {
  return fs::exists(folder / kModelIndex) || fs::is_directory(folder / "unet") ||
         fs::exists(folder / "config.json");
}

TensorFile read_network_folder(const fs::path& folder) {
  std::vector<std::string> ignored;
  return open_network_folder(folder, ignored);
}

ModelSource open_diffusers_folder(const fs::path& folder) {
  if (!is_diffusers_folder(folder) && !has_usual_weights(folder))
    throw Error(
        "\"{}\": a folder without model_index.json or unet; give a model file or a diffusers "
        "folder",
        folder.string());
  const Pipeline pipeline = read_pipeline(folder);
  if (pipeline.class_name.empty() && pipeline.folders.empty()) return open_lone_network(folder);
  ModelSource source;
  source.checkpoint.path = folder;
  source.layout = "diffusers folder";
  if (!pipeline.folders.count(Component::kUnet)) {
    refuse(source, name_without_unet(pipeline.class_name));
    return source;
  }
  for (const auto& [component, path] : pipeline.folders) add_component(component, path, source);
  source.recognition = recognise_components(source);
  if (source.recognition.family) source.checkpoint.family = *source.recognition.family;
  if (pipeline.is_refiner) refuse(source, "SDXL refiner");
  if (source.recognition.family) read_scheduler(folder, source);
  find_tokenizer(folder, source);
  return source;
}

}  // namespace fourstep
