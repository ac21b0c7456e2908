#include "request/file_tags.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/text_tools.h"
#include "io/hashes.h"
#include "io/weight_files.h"

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

FileHashes hashes_of(const std::string& file, const Events& events) {
  if (file.empty() || !is_whole_file(file)) return {};
  constexpr uint64_t kMiB = 1 << 20;
  const auto progress = [&](uint64_t done, uint64_t total) {
    events.report({Stage::kHash,
                   static_cast<int64_t>(done / kMiB),
                   static_cast<int64_t>(total / kMiB),
                   0,
                   {},
                   shared_name(file)});
  };
  return cached_hashes(file, hash_cache_path(), progress).value_or(FileHashes{});
}

/// A1111 leaves out of names what separates them.
void add_named(std::string& list, const std::string& file, const std::string& value) {
  if (value.empty()) return;
  std::string name = stem_of(file);
  std::erase_if(name, [](char c) { return c == ':' || c == ','; });
  list += fmt::format("{}{}: {}", list.empty() ? "" : ", ", name, value);
}

/// Some files hold the whole text of their licence, some several. Commas separate files in the
/// list.
std::string short_line(const std::string& text) {
  constexpr size_t kCharacters = 100;
  std::string line;
  const std::u32string characters = decode_utf8(trimmed(text));
  for (size_t i = 0; i < characters.size() && characters[i] >= U' '; ++i) {
    if (i == kCharacters) return line + "...";
    append_utf8(line, characters[i] == U',' ? U';' : characters[i]);
  }
  return line;
}

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
  visit_file_fields(request.files, share);
  share({}, request.prompt.embedding_dir);
  share({}, request.prompt.wildcards);
  return request;
}

std::string stem_of(const std::string& file) {
  const std::filesystem::path name = shared_name(file);
  const bool is_file = name.has_extension() && !std::filesystem::is_directory(file);
  return is_file ? stem_without_shard(name) : name.string();
}

FileTags make_file_tags(const FileSettings& files, const UsedFiles& used, const Events& events) {
  constexpr size_t kInversionDigits = 12;
  FileTags tags{hashes_of(files.model, events).auto_v2, hashes_of(files.vae, events).auto_v2, ""};
  tags.unet = hashes_of(files.unet, events).auto_v2;
  tags.text_encoder = hashes_of(files.text_encoder, events).auto_v2;
  tags.text_encoder_2 = hashes_of(files.text_encoder_2, events).auto_v2;
  for (const LoraUse& use : files.loras) {
    add_named(tags.loras, use.file, hashes_of(use.file, events).auto_v3.value_or(""));
  }
  for (const std::filesystem::path& file : used.inversions) {
    const std::string sha256 = hashes_of(file.string(), events).sha256;
    add_named(tags.inversions, file.string(), sha256.substr(0, kInversionDigits));
  }
  for (const FileLicence& licence : used.licences) {
    add_named(tags.licenses, licence.file.string(), short_line(licence.licence));
  }
  return tags;
}

}  // namespace fourstep
