#include "pipeline/request_json.h"

#include "io/fields_json.h"

namespace fourstep {

using Json = nlohmann::ordered_json;

// Overloads that json_from_fields() and read_fields() find by the type of Request::loras.

Json json_from(const StepWeights& weights) {
  return weights.is_constant() ? Json(weights.first()) : Json(text_from_step_weights(weights));
}

Json json_from(const std::vector<LoraUse>& uses) {
  Json list = Json::array();
  for (const LoraUse& use : uses) {
    list.push_back({{"file", use.file},
                    {"unet_weight", json_from(use.unet_weight)},
                    {"text_weight", use.text_weight}});
  }
  return list;
}

void read_json(const FieldInfo& field, const Json& json, std::vector<LoraUse>& value) {
  if (!json.is_array()) return value_from_text(field, text_of_json(field, json), value);
  std::vector<LoraUse> parsed;
  for (const Json& item : json) {
    if (!item.is_object() || !item.contains("file") || !item["file"].is_string()) {
      throw InvalidRequest("{}: each entry is an object with a text \"file\"", field.name);
    }
    LoraUse& use = parsed.emplace_back();
    use.file = item["file"].get<std::string>();
    if (item.contains("unet_weight")) {
      const std::string text = text_of_json(field, item["unet_weight"]);
      use.unet_weight = step_weights_from_text(flag_name(field), text);
    }
    use.text_weight = use.unet_weight.first();
    if (item.contains("text_weight")) read_json(field, item["text_weight"], use.text_weight);
    check_weight(flag_name(field), use.text_weight);
  }
  value = std::move(parsed);
}

Json json_from_request(const Request& request) { return json_from_fields(request); }

Request request_from_json(const Json& json) {
  Request request;
  Json fields = json;
  if (fields.is_object()) fields.erase(kHashesMember);
  read_fields(fields, request, "a request");
  return request;
}

}  // namespace fourstep
