#include "workbench/fingerprint.h"

#include <cmath>

#include "base/error.h"
#include "base/memory.h"
#include "io/atomic_file.h"
#include "io/fields_json.h"
#include "workbench/base_model.h"

namespace fourstep {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormat = "fourstep fingerprint 1";

Projection projection_of(const nlohmann::json& json, const std::string& key, const fs::path& path) {
  const std::string where = fmt::format("fingerprint \"{}\": module \"{}\"", path.string(), key);
  constexpr size_t kNumbers = 4;
  if (!json.is_array() || json.size() != kNumbers) {
    throw Error("{}: expected four numbers; make the fingerprint again", where);
  }
  for (const auto& number : json) {
    if (!number.is_number() || !std::isfinite(number.get<double>())) {
      throw Error("{}: {} is no finite number; make the fingerprint again", where, number.dump());
    }
  }
  Projection projection{json[0].get<double>(), json[1].get<double>(), json[2].get<double>(),
                        static_cast<int64_t>(json[3].get<double>())};
  if (projection.weight_norm2 < 0 || projection.delta_norm2 <= 0 || projection.num_elements <= 0) {
    throw Error("{}: norms and counts must be positive; make the fingerprint again", where);
  }
  return projection;
}

}  // namespace

std::string module_key(const ParameterId& id) {
  return fmt::format("{}.{}", to_string(id.component), id.name);
}

std::map<std::string, Projection> project_all(const Checkpoint& checkpoint, const LoraMatch& match,
                                              const Events& events) {
  std::map<std::string, Projection> projections;
  int64_t done = 0;
  const auto total = static_cast<int64_t>(match.matched.size());
  for (const MatchedModule& matched : match.matched) {
    events.report({Stage::kLoad, done++, total});
    if (!is_projectable(matched.module)) continue;
    const Tensor& weight = checkpoint.components.at(matched.component).at(matched.parameter);
    projections[module_key({matched.component, matched.parameter})] =
        project(weight, matched.module);
    drop_pages(weight);
    for (const Tensor& factor : tensors_of(matched.module)) drop_pages(factor);
    // The new entry lies in what the last module left: without this the heap grows by a module each
    // time.
    return_freed_memory();
  }
  events.report({Stage::kLoad, total, total});
  return projections;
}

Fingerprint make_fingerprint(const fs::path& base, const fs::path& lora, const Events& events) {
  const Checkpoint checkpoint = open_base_model(base).checkpoint;
  const LoraMatch match = open_matched_lora(lora, checkpoint);
  Fingerprint fingerprint;
  fingerprint.base_name = base.filename().string();
  fingerprint.base_family = to_string(checkpoint.family);
  fingerprint.base_dtype = dtype_name(unet_dtype(checkpoint));
  fingerprint.lora_name = lora.filename().string();
  fingerprint.modules = project_all(checkpoint, match, events);
  std::erase_if(fingerprint.modules, [](const auto& m) { return m.second.delta_norm2 <= 0; });
  if (fingerprint.modules.empty()) {
    throw Error("lora fingerprint: \"{}\" changes nothing that can be measured", lora.string());
  }
  return fingerprint;
}

void write_fingerprint(const fs::path& path, const Fingerprint& fingerprint) {
  nlohmann::ordered_json json{{"format", kFormat},
                              {"base",
                               {{"name", fingerprint.base_name},
                                {"family", fingerprint.base_family},
                                {"dtype", fingerprint.base_dtype},
                                {"sha256", fingerprint.base_sha256}}},
                              {"lora", {{"name", fingerprint.lora_name}}},
                              {"numbers", "<W,D>, <W,W>, <D,D>, elements"}};
  for (const auto& [key, p] : fingerprint.modules) {
    json["modules"][key] = {p.dot, p.weight_norm2, p.delta_norm2, p.num_elements};
  }
  write_atomically(path, [&](std::ostream& out) { out << dump_json(json, 1) << "\n"; });
}

Fingerprint read_fingerprint(const fs::path& path) {
  const nlohmann::json json = read_json_object(path);
  if (json_value<std::string>(json, "format", "", path) != kFormat) {
    throw Error("\"{}\": no fingerprint (key \"format\" is not \"{}\"); lora fingerprint makes one",
                path.string(), kFormat);
  }
  const auto object = nlohmann::json::object();
  const auto base = json_value<nlohmann::json>(json, "base", object, path);
  const auto lora = json_value<nlohmann::json>(json, "lora", object, path);
  const auto modules = json_value<nlohmann::json>(json, "modules", object, path);
  if (!base.is_object() || !lora.is_object() || !modules.is_object() || modules.empty()) {
    throw Error(
        "\"{}\": \"base\", \"lora\" and \"modules\" must be objects, and there must be modules; "
        "make it again",
        path.string());
  }
  Fingerprint fingerprint;
  fingerprint.path = path;
  fingerprint.base_name = json_value<std::string>(base, "name", "", path);
  fingerprint.base_family = json_value<std::string>(base, "family", "", path);
  fingerprint.base_dtype = json_value<std::string>(base, "dtype", "", path);
  fingerprint.base_sha256 = json_value<std::string>(base, "sha256", "", path);
  fingerprint.lora_name = json_value<std::string>(lora, "name", "", path);
  for (const auto& [key, numbers] : modules.items()) {
    fingerprint.modules[key] = projection_of(numbers, key, path);
  }
  return fingerprint;
}

}  // namespace fourstep
