#include "workbench/merge_metadata.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/fields_json.h"
#include "io/hashes.h"
#include "io/weight_files.h"

namespace fourstep {

namespace fs = std::filesystem;

std::string sha256_of(const fs::path& path, const Events& events) {
  if (!is_whole_file(path)) return "";
  const auto hashes = cached_hashes(path, hash_cache_path(), [&](uint64_t done, uint64_t total) {
    events.report(
        {Stage::kHash, static_cast<int64_t>(done >> 20), static_cast<int64_t>(total >> 20)});
  });
  return hashes ? hashes->sha256 : "";
}

nlohmann::ordered_json part_json(const fs::path& path, const std::string& sha256,
                                 const Metadata& metadata) {
  nlohmann::ordered_json json{{"name", path.filename().string()}};
  if (!sha256.empty()) json["sha256"] = sha256;
  const std::string title = entry_of(metadata, "modelspec.title");
  if (!title.empty()) json["title"] = title;
  const std::string license = licence_of(metadata);
  if (!license.empty()) json["license"] = license;
  return json;
}

std::string joined(const std::vector<std::string>& texts, const char* separator) {
  std::vector<std::string> once;
  for (const std::string& text : texts) {
    if (!text.empty() && std::find(once.begin(), once.end(), text) == once.end())
      once.push_back(text);
  }
  return fmt::format("{}", fmt::join(once, separator));
}

namespace {

using Json = nlohmann::ordered_json;

/// parts: part_json() of the base and of each LoRA.
Json recipe_of(const std::vector<Json>& parts, const MergeSettings& settings,
               const std::string& base_recipe) {
  Json recipe{{"type", "fourstep"}, {"base", parts.front()}, {"loras", Json::array()}};
  for (size_t i = 0; i < settings.loras.size(); ++i) {
    Json lora = parts[i + 1];
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

}  // namespace

Metadata merge_metadata(const BaseModel& base, const std::vector<AppliedLora>& loras,
                        const MergeSettings& settings, const Events& events) {
  std::vector<Json> parts;
  std::vector<std::string> names, licenses;
  Json models = Json::object();
  const auto add_part = [&](const std::filesystem::path& path, const Metadata& metadata) {
    const std::string sha256 = settings.with_hashes ? sha256_of(path, events) : "";
    parts.push_back(part_json(path, sha256, metadata));
    names.push_back(path.filename().string());
    licenses.push_back(licence_of(metadata));
    if (!sha256.empty()) models[sha256] = {{"name", names.back()}};
  };
  add_part(base.file.path, base.file.metadata);
  for (const AppliedLora& lora : loras) add_part(lora.match.path, lora.match.metadata);
  Metadata metadata = base.file.metadata;
  if (!settings.loras.empty()) {
    metadata["sd_merge_recipe"] =
        dump_json(recipe_of(parts, settings, entry_of(base.file.metadata, "sd_merge_recipe")));
    metadata["sd_merge_models"] = dump_json(models);
    metadata["modelspec.merged_from"] = joined(names, ", ");
  }
  if (const std::string license = joined(licenses, ", "); !license.empty()) {
    metadata["modelspec.license"] = license;
  }
  metadata.erase("modelspec.hash_sha256");  // of the tensors as they were
  return metadata;
}

}  // namespace fourstep
