#pragma once
// Structs whose members a visit_fields() function lists (base/fields.h), to and from JSON objects.
// A type of member that is no text, number, boolean or list of texts or numbers needs overloads of
// json_from() and read_json() in this namespace.

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fields.h"

namespace fourstep {

// JSON files of a model folder.

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

/// Values of enums as their words (base/fields.h).
template <typename T>
nlohmann::ordered_json json_from(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return text_from_value(value);
  } else {
    return value;
  }
}

template <typename T>
nlohmann::ordered_json json_from(const std::optional<T>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

/// The text form that value_from_text() reads, so that ranges are checked in one place.
/// Throws InvalidRequest for lists and objects.
std::string text_of_json(const FieldInfo& field, const nlohmann::ordered_json& json);

template <typename T>
void read_json(const FieldInfo& field, const nlohmann::ordered_json& json, T& value) {
  value_from_text(field, text_of_json(field, json), value);
}

void read_json(const FieldInfo& field, const nlohmann::ordered_json& json,
               std::vector<double>& value);
void read_json(const FieldInfo& field, const nlohmann::ordered_json& json,
               std::vector<std::string>& value);

/// Every field under its name, those with a prefix in an object of that name; unset optionals as
/// null.
template <typename Struct>
nlohmann::ordered_json json_from_fields(const Struct& fields) {
  auto json = nlohmann::ordered_json::object();
  visit_fields(fields, [&](const FieldInfo& field, const auto& value) {
    auto& place = field.prefix.empty() ? json : json[std::string(field.prefix)];
    place[std::string(field.name)] = json_from(value);
  });
  return json;
}

/// The names that a JSON object may have, and the objects in it.
class KnownNames {
 public:
  /// The member for `field` or one of its other names; null where it is absent or null. Throws
  /// InvalidRequest when what has the name of a prefix is no object.
  const nlohmann::ordered_json* find(const nlohmann::ordered_json& json, const FieldInfo& field);

  /// Throws InvalidRequest naming the first member that was never asked for. what: "a request".
  void check(const nlohmann::ordered_json& json, const std::string& what) const;

 private:
  std::map<std::string, std::vector<std::string>> names_;  ///< by prefix; those of none under ""
};

/// Fields that are absent or null keep their values; other names of a field (FieldInfo::aliases)
/// count too.
/// what: "a request", for messages. Throws InvalidRequest naming an unknown field, a wrong type or
/// a number out of range.
template <typename Struct>
void read_fields(const nlohmann::ordered_json& json, Struct& fields, const std::string& what) {
  if (!json.is_object()) {
    throw InvalidRequest("{} is a JSON object, not {}", what, json.type_name());
  }
  KnownNames known;
  visit_fields(fields, [&](const FieldInfo& field, auto& value) {
    if (const auto* member = known.find(json, field)) read_json(field, *member, value);
  });
  known.check(json, what);
}

/// The text of every field by its path (field_path()), but of those in `left_out`.
template <typename Struct>
std::map<std::string, std::string> texts_of_fields(const Struct& fields,
                                                   const std::set<std::string>& left_out = {}) {
  std::map<std::string, std::string> texts;
  visit_fields(fields, [&](const FieldInfo& field, const auto& value) {
    const std::string name = field_path(field);
    if (!left_out.count(name)) texts[name] = text_from_value(value);
  });
  return texts;
}

/// As text; ill-formed UTF-8 (a prompt may hold any bytes) becomes U+FFFD instead of an exception.
/// indent: blanks per level, -1 for one line.
std::string dump_json(const nlohmann::ordered_json& json, int indent = -1);

}  // namespace fourstep
