#include "io/file_metadata.h"

namespace fourstep {

std::string entry_of(const Metadata& metadata, const std::string& key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? "" : found->second;
}

std::string first_entry(const Metadata& metadata, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    const std::string value = entry_of(metadata, key);
    if (!value.empty()) return value;
  }
  return "";
}

std::string licence_of(const Metadata& metadata) {
  return first_entry(metadata, {"modelspec.license", "license", "licence", "ss_license"});
}

}  // namespace fourstep
