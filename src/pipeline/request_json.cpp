#include "pipeline/request_json.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"

namespace fourstep {

using Json = nlohmann::ordered_json;

namespace {

template <typename T>
Json json_from(const T& value) {
  return value;
}

template <typename T>
Json json_from(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json json_from(const std::vector<LoraUse>& uses) {
  Json list = Json::array();
  for (const LoraUse& use : uses) {
    list.push_back(
        {{"file", use.file}, {"unet_weight", use.unet_weight}, {"text_weight", use.text_weight}});
  }
  return list;
}

/// The text form that value_from_text() reads, so that ranges are checked in one place.
std::string text_of(const FieldInfo& field, const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (json.is_boolean() || json.is_number()) return json.dump();
  throw InvalidRequest("{}: JSON {} is no text, number or boolean", field.name, json.type_name());
}

template <typename T>
void read(const FieldInfo& field, const Json& json, T& value) {
  value_from_text(field, text_of(field, json), value);
}

void read(const FieldInfo& field, const Json& json, std::vector<double>& value) {
  if (!json.is_array()) return value_from_text(field, text_of(field, json), value);
  std::vector<double> parsed;
  for (const Json& item : json) read(field, item, parsed.emplace_back());
  value = std::move(parsed);
}

void read(const FieldInfo& field, const Json& json, std::vector<LoraUse>& value) {
  if (!json.is_array()) return value_from_text(field, text_of(field, json), value);
  std::vector<LoraUse> parsed;
  for (const Json& item : json) {
    if (!item.is_object() || !item.contains("file") || !item["file"].is_string()) {
      throw InvalidRequest("{}: each entry is an object with a text \"file\"", field.name);
    }
    LoraUse& use = parsed.emplace_back();
    use.file = item["file"].get<std::string>();
    if (item.contains("unet_weight")) read(field, item["unet_weight"], use.unet_weight);
    use.text_weight = use.unet_weight;
    if (item.contains("text_weight")) read(field, item["text_weight"], use.text_weight);
  }
  value = std::move(parsed);
}

}  // namespace

Json json_from_request(const Request& request) {
  Json json = Json::object();
  visit_fields(request, [&](const FieldInfo& field, const auto& value) {
    json[std::string(field.name)] = json_from(value);
  });
  return json;
}

std::string dump_json(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

Request request_from_json(const Json& json) {
  if (!json.is_object())
    throw InvalidRequest("a request is a JSON object, not {}", json.type_name());
  Request request;
  std::set<std::string> known;
  visit_fields(request, [&](const FieldInfo& field, auto& value) {
    const auto entry = json.find(*known.insert(std::string(field.name)).first);
    if (entry != json.end() && !entry->is_null()) read(field, *entry, value);
  });
  for (const auto& [name, value] : json.items()) {
    if (!known.count(name)) throw InvalidRequest("\"{}\" is no field of a request", name);
  }
  return request;
}

}  // namespace fourstep
