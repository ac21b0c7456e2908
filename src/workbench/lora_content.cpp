#include "workbench/lora_content.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/sha256.h"
#include "io/tensor_file.h"
#include "io/text_encoding.h"

namespace fourstep {
namespace {

namespace fs = std::filesystem;

constexpr size_t kHashDigits = 12;  ///< shown to people

void add_text(Sha256& hash, const std::string& text) {
  hash.update(fmt::format("{}:", text.size()));
  hash.update(text);
}

void add_tensor(Sha256& hash, const Tensor& tensor) {
  if (!tensor.defined()) return add_text(hash, "-");
  const Tensor plain = aligned(tensor).contiguous();
  const FileDtype* dtype = find_file_dtype(plain.scalar_type());
  add_text(hash, fmt::format("{} {}", dtype ? dtype->name : "?", to_string(shape_of(plain))));
  hash.update({static_cast<const char*>(plain.const_data_ptr()), plain.nbytes()});
}

void add_module(Sha256& hash, const std::string& name, const LoraModule& module) {
  add_text(hash, name);
  add_text(hash, fmt::format("{} {}", module.weight.index(), number_of(module)));
  for (const Tensor& tensor : tensors_of(module)) add_tensor(hash, tensor);
}

std::vector<fs::path> candidates(const fs::path& folder) {
  if (!fs::is_directory(folder))
    throw Error("lora dedupe(\"{}\"): expected a folder", folder.string());
  std::vector<fs::path> files;
  const auto options = fs::directory_options::skip_permission_denied;
  for (const auto& entry : fs::recursive_directory_iterator(folder, options)) {
    const std::string extension = entry.path().extension().string();
    const bool is_known = extension == ".safetensors" || extension == ".pt" || extension == ".bin";
    if (is_known && entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::optional<std::string> content_hash(const FittedLora& lora) {
  if (!has_sha256()) return std::nullopt;
  Sha256 hash;
  for (const auto& [id, module] : lora.modules()) add_module(hash, text_of(id), module);
  for (const UnmatchedModule& unmatched : lora.match.unmatched) {
    for (const auto* modules : {&lora.file.weights, &lora.file.biases}) {
      const auto found = modules->find(unmatched.name);
      if (found != modules->end()) add_module(hash, unmatched.name, found->second);
    }
  }
  for (const auto& [key, tensor] : bundled_tensors(lora.file.embeddings)) {
    add_text(hash, key);
    add_tensor(hash, tensor);
  }
  return hash.finish();
}

Duplicates find_duplicates(const fs::path& folder, const FileProgress& progress) {
  const std::vector<LoraLayout> layouts = published_layouts();
  const std::vector<fs::path> files = candidates(folder);
  std::map<std::string, std::vector<fs::path>> by_content;
  Duplicates result;
  for (size_t i = 0; i < files.size(); ++i) {
    try {
      const FittedLora lora = fit_lora(open_lora(files[i], ValueCheck::kNone), layouts);
      by_content[content_hash(lora).value_or("")].push_back(files[i]);
    } catch (const Error& error) {
      result.skipped.emplace_back(files[i], error.what());
    }
    if (progress) progress(i + 1, files.size());
  }
  for (auto& [content, group] : by_content) result.groups.push_back({content, std::move(group)});
  std::stable_sort(result.groups.begin(), result.groups.end(),
                   [](const auto& a, const auto& b) { return a.files.size() > b.files.size(); });
  return result;
}

std::string duplicates_text(const Duplicates& duplicates) {
  std::string text;
  size_t files = 0;
  for (const LoraGroup& group : duplicates.groups) {
    files += group.files.size();
    text += fmt::format("{}  {} file{}\n", group.content.substr(0, kHashDigits), group.files.size(),
                        group.files.size() == 1 ? "" : "s");
    for (const fs::path& file : group.files)
      text += fmt::format("  {}\n", printable(file.string(), 400));
  }
  text += fmt::format("{} LoRA files, {} distinct contents", files, duplicates.groups.size());
  text += duplicates.skipped.empty()
              ? "\n"
              : fmt::format("; {} other files skipped\n", duplicates.skipped.size());
  return text;
}

std::string duplicates_json(const Duplicates& duplicates) {
  using Json = nlohmann::ordered_json;
  Json groups = Json::array(), skipped = Json::array();
  for (const LoraGroup& group : duplicates.groups) {
    Json files = Json::array();
    for (const fs::path& file : group.files) files.push_back(file.string());
    groups.push_back({{"content", group.content}, {"files", files}});
  }
  for (const auto& [file, reason] : duplicates.skipped)
    skipped.push_back({{"file", file.string()}, {"reason", reason}});
  const Json json = {{"groups", groups}, {"skipped", skipped}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace fourstep
