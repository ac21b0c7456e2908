#include "workbench/merge_metadata.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/fields_json.h"
#include "io/hash_cache.h"

namespace fourstep {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Metadata = std::map<std::string, std::string>;

std::string value_of(const Metadata& metadata, const std::string& key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? "" : found->second;
}

struct Part {
  fs::path path;
  std::string license;
  std::string sha256;  ///< empty when unknown
};

Json json_of(const Part& part) {
  Json json{{"name", part.path.filename().string()}};
  if (!part.sha256.empty()) json["sha256"] = part.sha256;
  if (!part.license.empty()) json["license"] = part.license;
  return json;
}

Json recipe_of(const std::vector<Part>& parts, const MergeSettings& settings,
               const std::string& base_recipe) {
  Json recipe{{"type", "fourstep"}, {"base", json_of(parts.front())}, {"loras", Json::array()}};
  for (size_t i = 0; i < settings.loras.size(); ++i) {
    Json lora = json_of(parts[i + 1]);
    lora["weight"] = settings.loras[i].unet_weight;
    if (settings.loras[i].text_weight != settings.loras[i].unet_weight) {
      lora["text_weight"] = settings.loras[i].text_weight;
    }
    recipe["loras"].push_back(std::move(lora));
  }
  recipe["dtype"] = settings.storage ? to_string(*settings.storage) : "as stored";
  if (settings.rounding == StorageRounding::kStochastic) {
    recipe["rounding"] = "stochastic";
    recipe["seed"] = settings.seed;
  }
  if (!base_recipe.empty()) recipe["base_recipe"] = base_recipe;
  return recipe;
}

/// The texts that are not empty, each once, in their order.
std::string joined(const std::vector<std::string>& texts) {
  std::vector<std::string> once;
  for (const std::string& text : texts) {
    if (!text.empty() && std::find(once.begin(), once.end(), text) == once.end()) {
      once.push_back(text);
    }
  }
  return fmt::format("{}", fmt::join(once, ", "));
}

}  // namespace

std::string sha256_of(const fs::path& path, const Events& events) {
  if (fs::is_directory(path)) return "";
  const auto hashes = cached_hashes(path, hash_cache_path(), [&](uint64_t done, uint64_t total) {
    events.report(
        {Stage::kHash, static_cast<int64_t>(done >> 20), static_cast<int64_t>(total >> 20)});
  });
  return hashes ? hashes->sha256 : "";
}

Metadata merge_metadata(const BaseModel& base, const std::vector<AppliedLora>& loras,
                        const MergeSettings& settings, const Events& events) {
  std::vector<Part> parts{{base.file.path, value_of(base.file.metadata, "modelspec.license"), ""}};
  for (const AppliedLora& lora : loras) {
    parts.push_back({lora.match.path, value_of(lora.match.metadata, "modelspec.license"), ""});
  }
  Metadata metadata = base.file.metadata;
  std::vector<std::string> names, licenses;
  Json models = Json::object();
  for (Part& part : parts) {
    if (settings.with_hashes) part.sha256 = sha256_of(part.path, events);
    if (!part.sha256.empty()) models[part.sha256] = {{"name", part.path.filename().string()}};
    names.push_back(part.path.filename().string());
    licenses.push_back(part.license);
  }
  if (!settings.loras.empty()) {
    metadata["sd_merge_recipe"] =
        dump_json(recipe_of(parts, settings, value_of(base.file.metadata, "sd_merge_recipe")));
    metadata["sd_merge_models"] = dump_json(models);
    metadata["modelspec.merged_from"] = joined(names);
  }
  if (const std::string license = joined(licenses); !license.empty()) {
    metadata["modelspec.license"] = license;
  }
  metadata.erase("modelspec.hash_sha256");  // of the tensors as they were
  return metadata;
}

}  // namespace fourstep
