#pragma once
// Where a command may write: not over what it reads, and not under a name that hides what is inside.

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <vector>

namespace fourstep {

/// Throws InvalidRequest when `output` is one of `inputs` (also by another path), another shard of one, or a file in one
/// that is a folder, or when its name ends with none of
/// `extensions` (with the dot).
void check_output(const std::filesystem::path& output,
                  const std::vector<std::filesystem::path>& inputs,
                  std::initializer_list<const char*> extensions);

/// Before hours of work rather than after them: throws InvalidRequest when the disk of `output`, which need not exist, has
/// no room for so many bytes.
void check_space(const std::filesystem::path& output, uint64_t num_bytes);

}  // namespace fourstep
