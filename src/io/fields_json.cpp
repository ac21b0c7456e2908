#include "io/fields_json.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "base/text_tools.h"

namespace fourstep {

namespace {

constexpr uintmax_t kMaxBytes = uintmax_t{64} << 20;

}  // namespace

nlohmann::json read_json_object(const std::filesystem::path& path) {
  std::error_code failure;
  const uintmax_t bytes = std::filesystem::file_size(path, failure);
  std::ifstream in(path, std::ios::binary);
  if (failure || !in) throw Error("\"{}\": cannot be read", path.string());
  if (bytes > kMaxBytes)
    throw Error("\"{}\": {} bytes are too many for a JSON file", path.string(), bytes);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  nlohmann::json parsed = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object())
    throw Error("\"{}\": no JSON object; the file is damaged or was not downloaded whole",
                path.string());
  return parsed;
}

using Json = nlohmann::ordered_json;

std::string text_of_json(const FieldInfo& field, const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (json.is_boolean() || json.is_number()) return json.dump();
  throw InvalidRequest("{}: JSON {} is no text, number or boolean", field_path(field),
                       json.type_name());
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

const Json* KnownNames::find(const Json& json, const FieldInfo& field) {
  const std::string prefix(field.prefix);
  const Json* place = &json;
  if (!prefix.empty()) {
    names_[""].push_back(prefix);
    const auto nested = json.find(prefix);
    place = nested == json.end() || nested->is_null() ? nullptr : &*nested;
    if (place && !place->is_object()) {
      throw InvalidRequest("{}: JSON {} is no object", prefix, place->type_name());
    }
  }
  const Json* found = nullptr;
  for (const std::string& name : field_names(field)) {
    names_[prefix].push_back(name);
    if (!place) continue;
    const auto member = place->find(name);
    if (member != place->end() && !member->is_null()) found = &*member;
  }
  return found;
}

void KnownNames::check(const Json& json, const std::string& what) const {
  for (const auto& [prefix, known] : names_) {
    if (!prefix.empty() && !json.contains(prefix)) continue;
    const Json& place = prefix.empty() ? json : json[prefix];
    for (const auto& [name, value] : place.items()) {
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      const std::string path = field_path(FieldInfo{.name = name, .help = "", .prefix = prefix});
      throw InvalidRequest("\"{}\" is no field of {}{}", path, what, did_you_mean(name, known));
    }
  }
}

std::string dump_json(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace fourstep
