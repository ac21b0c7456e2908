#pragma once
// What a LoRA file holds, apart from its name, header, key style and the order of its tensors.

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "workbench/lora_fit.h"

namespace fourstep {

/// SHA-256 over the modules in the order of the model's names: what each adds to (parameter), the
/// factor alpha / rank, and type, shape and bytes of its tensors. Equal for a file and its
/// conversion to another key style, different for another precision. Modules without a place count
/// under the name in the file, bundled embeddings behind all modules.
/// Nothing where the program was built without SHA-256.
std::optional<std::string> content_hash(const FittedLora& lora);

struct LoraGroup {
  std::string content;  ///< content_hash()
  std::vector<std::filesystem::path> files;
};

struct Duplicates {
  std::vector<LoraGroup> groups;  ///< of one file too; the largest first
  std::vector<std::pair<std::filesystem::path, std::string>> skipped;  ///< with the reason
};

/// Called with files done and in all; may throw, which ends the work.
using FileProgress = std::function<void(size_t done, size_t total)>;

/// Groups the LoRA files (.safetensors, .pt, .bin) in `folder` and below it by content.
/// Throws Error when it is no folder.
Duplicates find_duplicates(const std::filesystem::path& folder, const FileProgress& progress = {});

std::string duplicates_text(const Duplicates& duplicates);
std::string duplicates_json(const Duplicates& duplicates);

}  // namespace fourstep
