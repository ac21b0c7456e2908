#pragma once
// Files that belong to the program rather than to a model.

#include <string>

#include "io/checkpoint.h"

namespace fourstep {

/// The merges that make the tokenizer of `checkpoint`: the ones inside the file, else of the diffusers
/// folder, else CLIP's own, which scripts/setup puts into share/clip/merges.txt.
/// Throws Error saying where it looked and how to get them.
struct Vocabulary {
  std::string merges_text;
  std::string source;  ///< for messages
};
Vocabulary find_vocabulary(const Checkpoint& checkpoint);

}  // namespace fourstep
