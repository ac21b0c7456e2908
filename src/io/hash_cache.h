#pragma once
// Hashes of files that are too large to be read for every image.

#include <filesystem>
#include <optional>

#include "io/hashes.h"

namespace fourstep {

/// Where the hashes of this user are kept: fourstep/hashes.json in $XDG_CACHE_HOME, or in ~/.cache.
/// Nothing without a home.
std::optional<std::filesystem::path> hash_cache_path();

/// compute_hashes(), or what the cache holds for a file of this path, size and time of change. A cache that
/// cannot be read counts as empty, one that cannot be written is left alone.
/// Throws Error when the file itself cannot be read, and whatever `progress` throws.
std::optional<FileHashes> cached_hashes(const std::filesystem::path& path,
                                        const std::optional<std::filesystem::path>& cache,
                                        const HashProgress& progress = {});

}  // namespace fourstep
