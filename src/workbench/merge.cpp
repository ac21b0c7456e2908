#include "workbench/merge.h"

#include <unistd.h>

#include "base/error.h"
#include "base/scaled_weight.h"
#include "io/atomic_file.h"
#include "io/diffusers_folder.h"
#include "io/file_search.h"
#include "io/safetensors.h"
#include "workbench/merge_metadata.h"

namespace fourstep {

namespace {

namespace fs = std::filesystem;

std::vector<AppliedLora> apply(const MergeSettings& settings, const Checkpoint& checkpoint) {
  std::vector<AppliedLora> applied;
  for (const WeightedLora& lora : settings.loras) {
    applied.push_back({open_matched_lora(lora.path, checkpoint, settings.is_partial_allowed),
                       lora.unet_weight, lora.text_weight});
  }
  return applied;
}

/// Makes the tensors of the new file, one at a time.
class Merger {
 public:
  Merger(const BaseModel& base, const MergeSettings& settings, LoraTerms terms)
      : base_(base), settings_(settings), terms_(std::move(terms)) {}

  std::map<std::string, TensorPlan> plans() const {
    std::map<std::string, TensorPlan> plans;
    for (const auto& [key, tensor] : base_.file.tensors) {
      plans[key] = {stored_dtype(tensor, component_of(key), settings_.storage), shape_of(tensor)};
    }
    return plans;
  }

  /// The tensor of `key` in `dtype`; a view of the base's file where nothing changes.
  Tensor make(const std::string& key, torch::ScalarType dtype) const {
    const Tensor& pristine = base_.file.tensors.at(key);
    const bool is_changed = changes(key);
    const bool is_stored = dtype == pristine.scalar_type() && !scaled_weight_of(pristine);
    if (!is_changed && is_stored) return pristine;
    const bool is_direct =
        settings_.rounding == StorageRounding::kNearest && dtype != torch::kFloat8_e4m3fn;
    Tensor out = torch::empty(pristine.sizes(), is_direct ? dtype : torch::kFloat);
    fill(key, pristine, out);
    drop_pages(pristine);
    if (!is_direct)
      out = stored(out, dtype, settings_.rounding, seed_of_tensor(settings_.seed, key));
    check_overflow(out, key, base_.file.path);
    return out;
  }

  bool changes(const std::string& key) const {
    const auto row = base_.rows.find(key);
    if (row == base_.rows.end()) return false;
    for (const std::string& target : row->second.targets) {
      if (terms_.count({row->second.component, target})) return true;
    }
    return false;
  }

 private:
  std::optional<Component> component_of(const std::string& key) const {
    const auto row = base_.rows.find(key);
    return row == base_.rows.end() ? std::nullopt : std::optional(row->second.component);
  }

  /// A tensor of the file can hold three parameters (q, k, v), or one transposed: the same views
  /// are taken of both sides, and each parameter is fused from the one into the other.
  void fill(const std::string& key, const Tensor& pristine, Tensor& out) const {
    const auto row = base_.rows.find(key);
    if (row == base_.rows.end()) {
      fuse_into(out, pristine, {});
      return;
    }
    std::map<Component, NamedTensors> from, to;
    apply_row(row->second, pristine, from);
    apply_row(row->second, out, to);
    for (const auto& [name, target] : to[row->second.component]) {
      const auto terms = terms_.find({row->second.component, name});
      fuse_into(target, from[row->second.component].at(name),
                terms == terms_.end() ? std::vector<WeightedModule>{} : terms->second);
    }
  }

  const BaseModel& base_;
  const MergeSettings& settings_;
  LoraTerms terms_;
};

/// What a user should know of a LoRA once it is merged.
void add_notes(const LoraMatch& match, std::vector<std::string>& lines) {
  const std::string name = match.path.filename().string();
  for (const std::string& note : match.notes) lines.push_back(fmt::format("{}: {}", name, note));
  if (match.embeddings.empty()) return;
  lines.push_back(
      fmt::format("{}: a checkpoint has no place for the bundled embeddings ({}); they stay behind",
                  name, names_text(match.embeddings)));
}

std::vector<fs::path> inputs_of(const fs::path& base, const MergeSettings& settings) {
  std::vector<fs::path> inputs{base};
  for (const WeightedLora& lora : settings.loras) inputs.push_back(lora.path);
  const ModelPaths& parts = settings.parts;
  for (const std::string& part : {parts.unet, parts.vae, parts.text_encoder, parts.text_encoder_2})
    if (!part.empty()) inputs.emplace_back(part);
  return inputs;
}

ModelPaths paths_of(const fs::path& base, const MergeSettings& settings) {
  ModelPaths paths = settings.parts;
  paths.model = base.string();
  return paths;
}

}  // namespace

MergeReport merge_into_file(const fs::path& base_path, const MergeSettings& settings,
                            const fs::path& output, const Events& events) {
  check_output(output, inputs_of(base_path, settings), {".safetensors"});
  const BaseModel base = open_base_model(paths_of(base_path, settings));
  const std::vector<AppliedLora> applied = apply(settings, base.checkpoint);
  const Merger merger(base, settings, terms_by_parameter(applied));
  const std::map<std::string, TensorPlan> plans = merger.plans();
  MergeReport report{{}, 0, plans.size(), size_of_tensors(plans), notices_of(base.checkpoint)};
  check_space(output, report.num_bytes);
  for (const AppliedLora& lora : applied) {
    report.loras.push_back(fmt::format("{}: {} at {}", lora.match.path.filename().string(),
                                       summary(lora.match), lora.unet_weight));
    add_notes(lora.match, report.loras);
  }
  const auto metadata = merge_metadata(base, applied, settings, events);
  int64_t done = 0;
  const auto total = static_cast<int64_t>(plans.size());
  const auto make = [&](const std::string& key) {
    events.report({Stage::kSave, done++, total});
    report.num_changed += merger.changes(key) ? 1 : 0;
    return merger.make(key, plans.at(key).dtype);
  };
  write_safetensors(output, plans, make, metadata);
  events.report({Stage::kSave, total, total});
  return report;
}

namespace {

namespace fs = std::filesystem;

/// A folder that is removed at the end of the scope unless it was renamed.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const fs::path& target)
      : target_(target), path_(target.string() + fmt::format(".{}.tmp", ::getpid())) {
    std::error_code error;
    fs::create_directory(path_, error);
    if (error) {
      throw Error("model convert: cannot make the folder \"{}\": {}", path_.string(),
                  error.message());
    }
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!is_renamed_) fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const fs::path& path() const { return path_; }
  void rename() {
    fs::rename(path_, target_);
    is_renamed_ = true;
  }

 private:
  fs::path target_, path_;
  bool is_renamed_ = false;
};

void write_text(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  write_atomically(path, [&](std::ostream& out) { out << text; });
}

/// Weights of one component; counts into `report` and reports to `events` as it goes.
class FolderWriter {
 public:
  FolderWriter(const Checkpoint& checkpoint, const MergeSettings& settings, const Events& events)
      : checkpoint_(checkpoint), settings_(settings), events_(events) {
    for (const auto& [component, weights] : checkpoint.components) {
      for (const auto& [name, tensor] : weights) {
        plans_[component][name] = {stored_dtype(tensor, component, settings.storage),
                                   shape_of(tensor)};
      }
      report.num_tensors += weights.size();
      report.num_bytes += size_of_tensors(plans_[component]);
    }
  }

  void write(Component component, const fs::path& folder) {
    const auto& plans = plans_.at(component);
    const auto make = [&](const std::string& name) {
      events_.report({Stage::kSave, done_++, static_cast<int64_t>(report.num_tensors)});
      return converted(component, name, plans.at(name).dtype);
    };
    fs::create_directories(folder / to_string(component));
    const char* file = component == Component::kUnet || component == Component::kVae
                           ? "diffusion_pytorch_model.safetensors"
                           : "model.safetensors";
    write_safetensors(folder / to_string(component) / file, plans, make, metadata_of(component));
  }

  MergeReport report;

 private:
  /// The UNet's file keeps what the checkpoint says of itself, for the way back.
  Metadata metadata_of(Component component) const {
    Metadata metadata;
    if (component == Component::kUnet) metadata = checkpoint_.metadata;
    metadata.erase("modelspec.hash_sha256");  // of the tensors as they were
    metadata["format"] = "pt";
    return metadata;
  }

  Tensor converted(Component component, const std::string& name, torch::ScalarType dtype) const {
    const Tensor& tensor = checkpoint_.components.at(component).at(name);
    if (dtype == tensor.scalar_type() && !scaled_weight_of(tensor)) return tensor;
    const Tensor values = aligned(tensor).to(torch::kFloat).contiguous();
    drop_pages(tensor);
    const std::string full_name = fmt::format("{}.{}", to_string(component), name);
    Tensor out =
        stored(values, dtype, settings_.rounding, seed_of_tensor(settings_.seed, full_name));
    check_overflow(out, full_name, checkpoint_.path);
    return out;
  }

  const Checkpoint& checkpoint_;
  const MergeSettings& settings_;
  const Events& events_;
  std::map<Component, std::map<std::string, TensorPlan>> plans_;
  int64_t done_ = 0;
};

}  // namespace

MergeReport convert_model(const fs::path& input, const MergeSettings& settings,
                          const fs::path& output, const Events& events,
                          const std::map<std::string, std::string>& extra_files) {
  if (output.extension() == ".safetensors") {
    MergeSettings plain = settings;
    plain.loras.clear();
    return merge_into_file(input, plain, output, events);
  }
  if (fs::exists(output)) {
    throw InvalidRequest("model convert: \"{}\" exists already; name a new folder",
                         output.string());
  }
  ModelPaths paths = settings.parts;
  paths.model = input.string();
  const Checkpoint checkpoint = open_model_parts(paths).checkpoint;
  auto files = diffusers_configs(checkpoint);
  files.insert(extra_files.begin(), extra_files.end());
  const fs::path target = output.has_filename() ? output : output.parent_path();
  FolderWriter writer(checkpoint, settings, events);
  writer.report.notices = notices_of(checkpoint);
  check_space(target, writer.report.num_bytes);
  TemporaryFolder folder(target);
  for (const auto& [component, weights] : checkpoint.components) {
    writer.write(component, folder.path());
  }
  for (const auto& [name, text] : files) write_text(folder.path() / name, text);
  folder.rename();
  const auto total = static_cast<int64_t>(writer.report.num_tensors);
  events.report({Stage::kSave, total, total});
  return writer.report;
}

}  // namespace fourstep
