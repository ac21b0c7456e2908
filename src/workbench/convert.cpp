#include "workbench/convert.h"

#include <unistd.h>

#include "base/error.h"
#include "base/scaled_weight.h"
#include "io/atomic_file.h"
#include "io/diffusers_configs.h"
#include "io/output_check.h"
#include "io/safetensors.h"

namespace fourstep {
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
