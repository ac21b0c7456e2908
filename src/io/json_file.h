#pragma once
// JSON files of a model folder.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"

namespace fourstep {

/// The object in the file. Throws Error naming the file when it cannot be read, is larger than 64
/// MiB or is no JSON object.
nlohmann::json read_json_object(const std::filesystem::path& path);

/// The member `key` of `object`, `fallback` when it is absent or null.
/// Throws Error naming `path` and the key when it has another type.
template <typename T>
T json_value(const nlohmann::json& object, const std::string& key, const T& fallback,
             const std::filesystem::path& path) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return fallback;
  try {
    return found->get<T>();
  } catch (const nlohmann::json::exception&) {
    throw Error("\"{}\": key \"{}\" has an unexpected {} value", path.string(), key,
                found->type_name());
  }
}

}  // namespace fourstep
