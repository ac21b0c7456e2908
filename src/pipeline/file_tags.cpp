#include "pipeline/file_tags.h"

#include "base/text_tools.h"
#include "base/utf8.h"
#include "io/hash_cache.h"
#include "io/weight_files.h"
#include "pipeline/image_metadata.h"
#include "pipeline/shared_names.h"

namespace fourstep {

namespace {

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

/// Some files hold the whole text of their licence, some several. Commas separate files in the list.
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

FileTags make_file_tags(const Request& request, const UsedFiles& used, const Events& events) {
  constexpr size_t kInversionDigits = 12;
  FileTags tags{hashes_of(request.model, events).auto_v2, hashes_of(request.vae, events).auto_v2,
                ""};
  tags.unet = hashes_of(request.unet, events).auto_v2;
  tags.text_encoder = hashes_of(request.text_encoder, events).auto_v2;
  tags.text_encoder_2 = hashes_of(request.text_encoder_2, events).auto_v2;
  for (const LoraUse& use : request.loras) {
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
