#pragma once
// A Request as JSON: the form in which images carry it, the server takes it and tests compare it.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "pipeline/request.h"

namespace fourstep {

/// Every field under its name; unset optionals as null, LoRAs as objects {file, unet_weight, text_weight}, weights by
/// step as text.
nlohmann::ordered_json json_from_request(const Request& request);

/// What image metadata add to a request's own fields: hashes of the files that it names.
constexpr const char* kHashesMember = "hashes";

/// Fields that are absent or null keep their defaults. Throws InvalidRequest naming an unknown field, a wrong
/// type or a number out of range. kHashesMember is passed over.
Request request_from_json(const nlohmann::ordered_json& json);

}  // namespace fourstep
