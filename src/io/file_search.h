#pragma once
// Files that people call by name instead of path: LoRAs, embeddings, lists of wildcards.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace fourstep {

struct NamedFile {
  std::filesystem::path path;
  std::string name;  ///< below the folder that was searched, without extension: "people/ann"
};

/// Throws InvalidRequest naming `flag` and the folder that is not there.
void check_folders(const std::vector<std::string>& folders, const char* flag);

/// The files with one of these extensions (lower case, with the dot) in the folders, in their order, each sorted by
/// name. depth: levels of sub-folders that are searched too; links to folders are followed.
/// Throws as check_folders().
std::vector<NamedFile> list_files(const std::vector<std::string>& folders,
                                  const std::vector<std::string>& extensions, const char* flag,
                                  int depth = 8);

/// The file of this name, with or without its extension, its folder, and its capital letters; what agrees in more
/// of them goes first, then the earlier one. Null when there is none.
const NamedFile* find_named(const std::vector<NamedFile>& files, std::string_view name);

/// For messages: the three names most like `name`, "; nearest: a, b, c"; empty without files.
std::string nearest_names(const std::vector<NamedFile>& files, std::string_view name);

}  // namespace fourstep
