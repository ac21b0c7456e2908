#pragma once
// Files that belong to the program rather than to a model.

#include <filesystem>
#include <optional>
#include <string>

#include "io/checkpoint.h"

namespace fourstep {

/// The merges that make the tokenizer of `checkpoint`: the ones inside the file, else of the
/// diffusers folder, else CLIP's own, which scripts/setup puts into share/clip/merges.txt.
/// Throws Error saying where it looked and how to get them.
struct Vocabulary {
  std::string merges_text;
  std::string source;  ///< for messages
};
Vocabulary find_vocabulary(const Checkpoint& checkpoint);

/// The model that comes with the program.
struct DefaultModel {
  std::filesystem::path checkpoint, dmd2_lora;
};
/// Nothing where the files are not there.
std::optional<DefaultModel> find_default_model();

}  // namespace fourstep
