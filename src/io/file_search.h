#pragma once
// Files as people name them: by name instead of path (LoRAs, embeddings, lists of wildcards), and
// those to write.

#include <cstdint>
#include <filesystem>
#include <initializer_list>
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

/// The files with one of these extensions (lower case, with the dot) in the folders, in their
/// order, each sorted by name. depth: levels of sub-folders that are searched too; links to folders
/// are followed.
/// Throws as check_folders().
std::vector<NamedFile> list_files(const std::vector<std::string>& folders,
                                  const std::vector<std::string>& extensions, const char* flag,
                                  int depth = 8);

/// The file of this name, with or without its extension, its folder, and its capital letters; what
/// agrees in more of them goes first, then the earlier one. Null when there is none.
const NamedFile* find_named(const std::vector<NamedFile>& files, std::string_view name);

/// For messages: the three names most like `name`, "; nearest: a, b, c"; empty without files.
std::string nearest_names(const std::vector<NamedFile>& files, std::string_view name);

// Where a command may write: not over what it reads, and not under a name that hides what is
// inside.

/// Throws InvalidRequest when `output` is one of `inputs` (also by another path), another shard of
/// one, or a file in one that is a folder, or when its name ends with none of
/// `extensions` (with the dot).
void check_output(const std::filesystem::path& output,
                  const std::vector<std::filesystem::path>& inputs,
                  std::initializer_list<const char*> extensions);

/// Before hours of work rather than after them: throws InvalidRequest when the disk of `output`,
/// which need not exist, has no room for so many bytes.
void check_space(const std::filesystem::path& output, uint64_t num_bytes);

}  // namespace fourstep
