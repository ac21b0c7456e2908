#include "request/request.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/fields_json.h"

namespace fourstep {

using Json = nlohmann::ordered_json;

namespace {

void check_falls(const char* flag, const std::vector<double>& list) {
  if (std::is_sorted(list.begin(), list.end(), std::greater_equal<>())) return;
  throw InvalidRequest("{}: the numbers must fall, got {}", flag, text_from_value(list));
}

void check_length(const char* what, const std::string& text) {
  constexpr size_t kLongest = 64 << 10;  // the most that any parser of prompts has to take
  if (text.size() <= kLongest) return;
  throw InvalidRequest("{}: {} bytes, at most {} are read", what, text.size(), kLongest);
}

}  // namespace

Request single_image(Request request, int64_t index) {
  const auto offset = static_cast<uint64_t>(index);
  if (request.noise.variation_strength == 0) {
    if (request.picture.seed) *request.picture.seed += offset;
  } else {
    request.noise.variation_seed += offset;
  }
  request.picture.images = 1;
  return request;
}

void validate(const Request& request) {
  const SamplingSettings& sampling = request.sampling;
  check_length("the prompt", request.prompt.text);
  check_length("--negative-prompt", request.prompt.negative);
  if (!sampling.timesteps.empty() && !sampling.sigmas.empty()) {
    throw InvalidRequest(
        std::string("--timesteps and --sigmas exclude each other: give one of them"));
  }
  if ((request.noise.seed_width == 0) != (request.noise.seed_height == 0)) {
    throw InvalidRequest(std::string("--seed-width and --seed-height need each other"));
  }
  if (!sampling.sigmas.empty() && sampling.sigmas.front() == 0) {
    throw InvalidRequest(std::string("--sigmas: the first noise level must be above 0"));
  }
  check_falls("--timesteps", sampling.timesteps);
  check_falls("--sigmas", sampling.sigmas);
  validate_guidance(request.guidance);
}

// Overloads that json_from_fields() and read_fields() find by the type of FileSettings::loras.

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
