#include "data/image_folder.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <set>

#include "base/error.h"
#include "base/text_tools.h"

namespace fourstep {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxCaptionBytes = 64UL * 1024;  // a text file may be anything

#ifdef FOURSTEP_MINIMAL
constexpr const char* kImageKinds[] = {".ppm"};
#else
constexpr const char* kImageKinds[] = {".png", ".jpg", ".jpeg", ".webp", ".ppm"};
#endif
constexpr const char* kForeignKinds[] = {".bmp", ".gif", ".tif", ".tiff", ".avif", ".heic", ".jxl"};
constexpr const char* kCaptionKinds[] = {".txt", ".caption"};

bool is_one_of(const std::string& kind, const auto& kinds) {
  return std::find(std::begin(kinds), std::end(kinds), kind) != std::end(kinds);
}

std::string lower_extension(const fs::path& path) {
  std::string text = path.extension().string();
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

struct Caption {
  std::string text;
  bool has_more_lines = false;
};

Caption read_caption(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(kMaxCaptionBytes, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<size_t>(file.gcount()));
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.erase(0, 3);  // Windows' editors put it there
  Caption caption;
  for (size_t begin = 0; begin < bytes.size();) {
    const size_t end = std::min(bytes.find('\n', begin), bytes.size());
    const std::string line = trimmed(bytes.substr(begin, end - begin));
    begin = end + 1;
    if (line.empty()) continue;
    if (!caption.text.empty()) return {caption.text, true};
    caption.text = line;
  }
  return caption;
}

/// What a notice counts, by the names of the files.
struct Findings {
  std::vector<std::string> without_caption, with_folder_caption, long_captions, lone_captions,
      foreign, unused;
};

/// The pictures and captions of one folder, not of those inside it.
struct Listing {
  std::vector<fs::path> images;
  std::map<std::string, fs::path> captions;  ///< by path without extension; .txt wins
};

/// The name within the folder.
std::string name_of(const fs::path& path, const fs::path& root) {
  return path.lexically_relative(root).generic_string();
}

Listing list_folder(const fs::path& folder, const fs::path& root, Findings& findings) {
  Listing listing;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const fs::path& path = entry.path();
    if (path.filename().string().starts_with(".") || !entry.is_regular_file()) continue;
    const std::string kind = lower_extension(path);
    if (is_one_of(kind, kImageKinds)) listing.images.push_back(path);
    if (is_one_of(kind, kForeignKinds)) findings.foreign.push_back(name_of(path, root));
    if (!is_one_of(kind, kCaptionKinds)) continue;
    fs::path& place = listing.captions[fs::path(path).replace_extension().string()];
    if (place.empty() || kind == kCaptionKinds[0]) place = path;
  }
  return listing;
}

void add_folder(const fs::path& folder, const fs::path& root, const FolderRule& rule,
                Findings& findings, std::vector<FolderImage>& images) {
  const Listing listing = list_folder(folder, root, findings);
  std::set<std::string> used;
  for (const fs::path& path : listing.images) {
    FolderImage image{path, name_of(path, root), name_of(folder, root), "", rule.repeats};
    if (image.group == ".") image.group.clear();
    const std::string stem = fs::path(path).replace_extension().string();
    Caption caption;
    if (const auto found = listing.captions.find(stem); found != listing.captions.end()) {
      caption = read_caption(found->second);
      used.insert(stem);
    }
    image.caption = caption.text.empty() ? rule.caption : caption.text;
    if (caption.has_more_lines) findings.long_captions.push_back(image.name);
    if (caption.text.empty()) {
      (rule.caption.empty() ? findings.without_caption : findings.with_folder_caption)
          .push_back(image.name);
    }
    images.push_back(std::move(image));
  }
  for (const auto& [stem, path] : listing.captions) {
    if (!used.count(stem)) findings.lone_captions.push_back(name_of(path, root));
  }
}

std::vector<std::string> notices_of(Findings findings) {
  std::vector<std::string> notices;
  const auto add = [&](std::vector<std::string>& names, const char* what) {
    if (names.empty()) return;
    std::sort(names.begin(), names.end());
    notices.push_back(fmt::format("{} {}: {}", names.size(), what, join_first(names)));
  };
  add(findings.without_caption, "images have no caption and get the empty one");
  add(findings.with_folder_caption, "images have no caption and get the name of their folder");
  add(findings.lone_captions, "captions have no image and are left out");
  add(findings.long_captions, "captions have several lines, of which the first is used");
  add(findings.foreign, "images are of formats that are not read and are left out");
  add(findings.unused, "folders ask for 0 repeats and are left out");
  return notices;
}

}  // namespace

FolderRule folder_rule_of(const std::string& name) {
  const size_t end = name.find('_');
  FolderRule rule;
  if (end == std::string::npos) return rule;
  int64_t repeats = 0;
  const auto [stop, error] = std::from_chars(name.data(), name.data() + end, repeats);
  constexpr int64_t kMostRepeats = 1'000'000;
  if (error != std::errc() || stop != name.data() + end || repeats < 0 || repeats > kMostRepeats) {
    return rule;
  }
  return {repeats, trimmed(name.substr(end + 1))};
}

ImageFolder scan_image_folder(const fs::path& folder) {
  if (!fs::is_directory(folder)) {
    throw Error("data \"{}\" is no folder; name one with images and captions", folder.string());
  }
  ImageFolder found;
  Findings findings;
  add_folder(folder, folder, {}, findings, found.images);
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_directory() || name.starts_with(".")) continue;
    const FolderRule rule = folder_rule_of(name);
    if (rule.repeats == 0) {
      findings.unused.push_back(name);
      continue;
    }
    add_folder(entry.path(), folder, rule, findings, found.images);
  }
  if (found.images.empty()) {
    throw Error(
        "data \"{}\" holds no images; put {} files there or into folders such as \"10_old lamp\", "
        "captions beside them as NAME.txt",
        folder.string(), fmt::join(kImageKinds, ", "));
  }
  std::sort(found.images.begin(), found.images.end(),
            [](const FolderImage& a, const FolderImage& b) { return a.name < b.name; });
  found.notices = notices_of(std::move(findings));
  return found;
}

}  // namespace fourstep
