#include "request/wildcard_lists.h"

#include <fnmatch.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>

#include "base/error.h"
#include "base/text_tools.h"
#include "io/file_search.h"
#include "io/text_encoding.h"
#include "text/code_pages.h"
#include "text/prompt_scan.h"

namespace fourstep {

namespace {

std::string utf8_from_windows_1252(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) append_utf8(text, windows_1252_char(static_cast<uint8_t>(byte)));
  return text;
}

/// The text of a file in whatever encoding it is.
std::string decode_list(std::string bytes, const std::string& path, const Events& events) {
  constexpr std::string_view kUtf8Mark = "\xEF\xBB\xBF", kLittleMark = "\xFF\xFE",
                             kBigMark = "\xFE\xFF";
  if (bytes.starts_with(kUtf8Mark)) bytes.erase(0, kUtf8Mark.size());
  if (bytes.starts_with(kLittleMark) || bytes.starts_with(kBigMark)) {
    events.notice("wildcards: " + path + " is UTF-16; it was read as such, UTF-8 is usual");
    const bool is_big = bytes.starts_with(kBigMark);
    bytes = utf8_from_utf16(std::string_view(bytes).substr(kBigMark.size()), is_big);
  }
  if (bytes.find('\0') != std::string::npos) {
    throw InvalidRequest("wildcards: {} is no text (it has NUL bytes); save it as UTF-8", path);
  }
  if (is_utf8(bytes)) return bytes;
  events.notice("wildcards: " + path +
                " is not UTF-8; it was read as Windows-1252, save it as UTF-8 if words look wrong");
  return utf8_from_windows_1252(bytes);
}

std::vector<std::string> read_list(const std::filesystem::path& path, Dialect dialect,
                                   const Events& events) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error("wildcards: {} cannot be read", path.string());
  std::string text =
      decode_list(std::string(std::istreambuf_iterator<char>(in), {}), path.string(), events);
  std::replace(text.begin(), text.end(), '\r', '\n');
  std::vector<std::string> options;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = trimmed(text.substr(begin, end - begin));
    begin = end + 1;
    if (line.starts_with('#')) continue;
    line = trimmed(without_comments(line, dialect));
    if (!line.empty()) options.push_back(std::move(line));
  }
  if (options.empty()) throw InvalidRequest("wildcards: {} has no options", path.string());
  return options;
}

/// ", and YAML and JSON are not read (it has a.yaml)"; empty where the folder has none.
std::string note_on_structured_files(const std::string& folder) {
  std::vector<std::string> names;
  for (const NamedFile& file : list_files({folder}, {".yaml", ".yml", ".json"}, "--wildcards")) {
    names.push_back(file.path.lexically_relative(folder).string());
  }
  if (names.empty()) return "";
  return "; lists in YAML and JSON are not read (" + join_first(names) +
         "), write each as a text file";
}

class Lists {
 public:
  Lists(const std::string& folder, Dialect dialect, const Events& events)
      : folder_(folder), dialect_(dialect), events_(events) {
    files_ = list_files({folder}, {".txt"}, "--wildcards");
  }

  std::vector<std::string> options(const std::string& name) {
    if (name.find_first_of("*?[") != std::string::npos) return options_like(name);
    if (const NamedFile* file = find_named(files_, name)) return list_of(*file);
    throw InvalidRequest("wildcard __{}__: there is no {}.txt in {}{}{}", name, name, folder_,
                         nearest_names(files_, name), note_on_structured_files(folder_));
  }

 private:
  const std::vector<std::string>& list_of(const NamedFile& file) {
    auto known = read_.find(file.name);
    if (known == read_.end()) {
      known = read_.emplace(file.name, read_list(file.path, dialect_, events_)).first;
    }
    return known->second;
  }

  /// Each option once. Source: dynamicprompts 0.31.0, which uses fnmatch() too.
  std::vector<std::string> options_like(const std::string& name) {
    std::vector<std::string> options;
    for (const std::string& pattern : {name, "**/" + name}) {
      for (const NamedFile& file : files_) {
        if (fnmatch(pattern.c_str(), file.name.c_str(), FNM_CASEFOLD | FNM_NOESCAPE) != 0) continue;
        for (const std::string& option : list_of(file)) {
          if (std::find(options.begin(), options.end(), option) == options.end()) {
            options.push_back(option);
          }
        }
      }
      if (!options.empty()) return options;
    }
    throw InvalidRequest("wildcard __{}__: no .txt file in {} has a name like this{}", name,
                         folder_, note_on_structured_files(folder_));
  }

  std::string folder_;
  Dialect dialect_;
  Events events_;
  std::vector<NamedFile> files_;
  std::map<std::string, std::vector<std::string>> read_;
};

}  // namespace

WildcardOptions wildcard_lists(const std::string& folder, Dialect dialect, const Events& events) {
  const auto lists = std::make_shared<Lists>(folder, dialect, events);
  return [lists](const std::string& name) { return lists->options(name); };
}

}  // namespace fourstep
