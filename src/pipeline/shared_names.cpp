#include "pipeline/shared_names.h"

#include <cstdlib>
#include <filesystem>

namespace fourstep {

namespace {

bool is_home(const std::string& path) {
  const char* home = std::getenv("HOME");
  std::error_code ignored;
  return home != nullptr && std::filesystem::equivalent(path, home, ignored);
}

/// Of the fields that name files: whatever is no text is left alone.
struct NameSharing {
  void operator()(const FieldInfo&, std::string& path) const { path = shared_name(path); }
  void operator()(const FieldInfo&, std::vector<std::string>& paths) const {
    for (std::string& path : paths) path = shared_name(path);
  }
  void operator()(const FieldInfo&, std::vector<LoraUse>& uses) const {
    for (LoraUse& use : uses) use.file = shared_name(use.file);
  }
  void operator()(const FieldInfo&, bool&) const {}
};

}  // namespace

std::string shared_name(const std::string& path) {
  constexpr const char* kSeparators = "/\\";
  if (is_home(path)) return "~";
  const size_t last = path.find_last_not_of(kSeparators);
  if (last == std::string::npos) return "";
  const std::string whole = path.substr(0, last + 1);
  return whole.substr(whole.find_last_of(kSeparators) + 1);
}

Request without_folders(Request request) {
  const NameSharing share;
  visit_file_fields(request, share);
  share({}, request.embedding_dir);
  share({}, request.wildcards);
  return request;
}

}  // namespace fourstep
