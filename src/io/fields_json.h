#pragma once
// Structs whose members a visit_fields() function lists (base/fields.h), to and from JSON objects. A type of
// member that is no text, number, boolean or list of texts or numbers needs overloads of json_from() and read_json() in
// this namespace.

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fields.h"
#include "base/similar_names.h"

namespace fourstep {

template <typename T>
nlohmann::ordered_json json_from(const T& value) {
  return value;
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

/// Every field under its name; unset optionals as null.
template <typename Struct>
nlohmann::ordered_json json_from_fields(const Struct& fields) {
  auto json = nlohmann::ordered_json::object();
  visit_fields(fields, [&](const FieldInfo& field, const auto& value) {
    json[std::string(field.name)] = json_from(value);
  });
  return json;
}

/// Fields that are absent or null keep their values; other names of a field (FieldInfo::aliases) count too. what: "a request", for messages. Throws InvalidRequest naming
/// an unknown field, a wrong type or a number out of range.
template <typename Struct>
void read_fields(const nlohmann::ordered_json& json, Struct& fields, const std::string& what) {
  if (!json.is_object()) {
    throw InvalidRequest("{} is a JSON object, not {}", what, json.type_name());
  }
  std::vector<std::string> known;
  visit_fields(fields, [&](const FieldInfo& field, auto& value) {
    for (const std::string& name : field_names(field)) {
      known.push_back(name);
      const auto entry = json.find(name);
      if (entry != json.end() && !entry->is_null()) read_json(field, *entry, value);
    }
  });
  for (const auto& [name, value] : json.items()) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    throw InvalidRequest("\"{}\" is no field of {}{}", name, what, did_you_mean(name, known));
  }
}

/// The text of every field by its name, but of those in `left_out`.
template <typename Struct>
std::map<std::string, std::string> texts_of_fields(const Struct& fields,
                                                   const std::set<std::string>& left_out = {}) {
  std::map<std::string, std::string> texts;
  visit_fields(fields, [&](const FieldInfo& field, const auto& value) {
    const std::string name(field.name);
    if (!left_out.count(name)) texts[name] = text_from_value(value);
  });
  return texts;
}

/// As text; ill-formed UTF-8 (a prompt may hold any bytes) becomes U+FFFD instead of an exception.
/// indent: blanks per level, -1 for one line.
std::string dump_json(const nlohmann::ordered_json& json, int indent = -1);

}  // namespace fourstep
