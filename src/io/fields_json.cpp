#include "io/fields_json.h"

namespace fourstep {

using Json = nlohmann::ordered_json;

std::string text_of_json(const FieldInfo& field, const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (json.is_boolean() || json.is_number()) return json.dump();
  throw InvalidRequest("{}: JSON {} is no text, number or boolean", field.name, json.type_name());
}

namespace {

template <typename T>
void read_list(const FieldInfo& field, const Json& json, std::vector<T>& value) {
  if (!json.is_array()) return value_from_text(field, text_of_json(field, json), value);
  std::vector<T> parsed;
  for (const Json& item : json) read_json(field, item, parsed.emplace_back());
  value = std::move(parsed);
}

}  // namespace

void read_json(const FieldInfo& field, const Json& json, std::vector<double>& value) {
  read_list(field, json, value);
}

void read_json(const FieldInfo& field, const Json& json, std::vector<std::string>& value) {
  read_list(field, json, value);
}

std::string dump_json(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace fourstep
