#pragma once
// The hashes by which model sites and image metadata name a file. Source of the lengths and ranges:
// the conventions of A1111's webui (its model hash, its sha256 and its addnet hash).

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace fourstep {

/// Lower-case hexadecimal.
struct FileHashes {
  std::string sha256;  ///< of the whole file, 64 digits
  std::string
      auto_v1;  ///< 8 digits: SHA-256 of the 64 KiB at 1 MiB (of what is there in shorter files);
                ///< addnet_hash_legacy of sd-webui-additional-networks
  std::string auto_v2;  ///< the first 10 digits of sha256
  /// 12 digits: SHA-256 of what follows the header of a safetensors file, so that edited metadata
  /// does not change it; also known as the addnet hash. Absent for other files.
  std::optional<std::string> auto_v3;
};

/// SHA-256 of `bytes`, 64 lower-case hexadecimal digits; nothing when the program was built without
/// SHA-256.
std::optional<std::string> sha256_of(std::string_view bytes);

/// Called with bytes read so far and in all; may throw, which ends the work.
using HashProgress = std::function<void(uint64_t done_bytes, uint64_t total_bytes)>;

/// Reads the file once, in blocks. Nothing when the program was built without SHA-256
/// (FOURSTEP_MINIMAL).
/// Throws Error when the file cannot be read.
std::optional<FileHashes> compute_hashes(const std::filesystem::path& path,
                                         const HashProgress& progress = {});

// Hashes of files that are too large to be read for every image.

/// Where the hashes of this user are kept: fourstep/hashes.json in $XDG_CACHE_HOME, or in ~/.cache.
/// Nothing without a home.
std::optional<std::filesystem::path> hash_cache_path();

/// compute_hashes(), or what the cache holds for a file of this path, size and time of change. A
/// cache that cannot be read counts as empty, one that cannot be written is left alone.
/// Throws Error when the file itself cannot be read, and whatever `progress` throws.
std::optional<FileHashes> cached_hashes(const std::filesystem::path& path,
                                        const std::optional<std::filesystem::path>& cache,
                                        const HashProgress& progress = {});

}  // namespace fourstep
