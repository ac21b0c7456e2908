#include "io/diffusers_folder.h"

#include <fmt/format.h>

#include "base/error.h"
#include "io/json_file.h"
#include "io/key_names.h"
#include "io/quantisation.h"
#include "io/weight_files.h"

namespace fourstep {
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

/// The folder of one network, with config.json beside the weights, or of a single-file checkpoint cut into shards.
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
