#pragma once
// A LoRA file resolved against a model: for every weight or bias the module that changes it, and the list of
// what found no place, which is an error unless the user allows it.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "io/checkpoint.h"
#include "io/file_metadata.h"
#include "lora/lora_file.h"
#include "lora/lora_keys.h"

namespace fourstep {

/// One weight or bias that a LoRA file changes.
struct MatchedModule {
  Component component = Component::kUnet;
  std::string parameter;  ///< diffusers name, with ".weight" or ".bias"
  LoraModule module;
  std::string name = {};  ///< as in the file
};

struct UnmatchedModule {
  std::string name;               ///< as in the file
  std::optional<Shape> got;       ///< when the name is known: rows and columns of the difference,
  std::optional<Shape> expected;  ///< and the shape of the weight that it does not fit
  bool lacks_bias = false;        ///< it adds to a bias, and the layer has none
};

struct LoraMatch {
  std::filesystem::path path;
  std::vector<MatchedModule> matched;
  std::vector<UnmatchedModule> unmatched;   ///< unknown names, wrong shapes, unknown keys
  size_t num_modules = 0;                   ///< of the file, unmatched ones included
  std::map<Component, size_t> num_matched;  ///< modules
  Metadata metadata;                        ///< of the file
  BundledEmbeddings embeddings;             ///< of the file
  std::vector<std::string> notes;           ///< sentences that a user should see once
  std::string likely_cause;                 ///< of the unmatched ones: half a sentence, or empty
};

/// Finds the weight of every module of `file`. Unmatched modules are listed, not refused.
LoraMatch match_lora(const LoraFile& file, const LoraTargets& targets);

/// Throws Error unless every module found its weight; with `is_partial_allowed`, unless at least one did.
/// The message counts, names the first unmatched modules and says the likely cause.
void check_complete(const LoraMatch& match, bool is_partial_allowed = false);

/// "788/788 modules"; with text encoders "986/986 modules (722 unet, 72 text_encoder, 192 text_encoder_2)".
std::string summary(const LoraMatch& match);

}  // namespace fourstep
