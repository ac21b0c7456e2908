#pragma once
// What `lora inspect` tells about a file.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/hashes.h"
#include "io/tensor_file.h"
#include "workbench/lora_fit.h"

namespace fourstep {

// The words that call what a LoRA shows, as its metadata say them.

/// What the metadata says of the words that call the subject: modelspec.trigger_phrase (with count
/// 0), else kohya's most frequent tags (ss_tag_frequency), at most `count`. Damaged entries count
/// as absent.
std::vector<std::pair<std::string, int64_t>> trigger_words(const Metadata& metadata,
                                                           size_t count = 10);

struct LoraBlockInfo {
  std::string block;  ///< "TE1", "TE2", "IN04", "MID", ... (see lora_blocks.h)
  size_t num_modules = 0;
  double norm_squared = 0;  ///< of what its modules add at strength 1; only with norms
};

struct LoraInfo {
  std::filesystem::path path;
  std::string family;  ///< layout that it fits, with a remark on the fit
  std::string style;   ///< of the keys
  std::string cause;   ///< of unmatched modules, half a sentence; empty
  size_t num_matched = 0, num_modules = 0, num_tensors = 0;
  std::vector<std::string> first_unmatched;  ///< at most five
  std::map<std::string, size_t> kinds;       ///< "LoRA", "LoCon", "LoHa", ... -> modules
  std::map<std::string, size_t> dtypes;      ///< safetensors names -> tensors
  std::map<int64_t, size_t> ranks;           ///< -> modules; without those that have none
  std::map<double, size_t> alphas, factors;  ///< -> modules; factor: alpha / rank
  std::map<Component, size_t> components;    ///< -> modules
  std::vector<LoraBlockInfo> blocks;         ///< in order of execution
  bool has_norms = false;
  size_t num_without_norm = 0;  ///< modules whose change depends on the model's weight
  /// Bundled textual inversions by name: vectors in each part ("clip_l", "clip_g", "emb_params",
  /// ...).
  std::map<std::string, std::map<std::string, int64_t>> embeddings;
  std::vector<std::string> notes;  ///< see LoraMatch
  Metadata metadata;
  std::string title, licence, base_model;  ///< from the metadata; empty when it does not say
  std::vector<std::pair<std::string, int64_t>> trigger_words;  ///< with counts (0: named outright)
  std::optional<FileHashes> hashes;
  std::optional<std::string> content;  ///< content_hash()
};

/// Reads the header, and the factors only with `with_norms`. layouts: see layouts_for().
/// Throws Error when the file is no LoRA (then it says what), or the norms are not finite.
LoraInfo describe_lora(const std::filesystem::path& path, const std::vector<LoraLayout>& layouts,
                       bool with_norms);

/// Fills `hashes` and `content`: reads the whole file. progress may throw, which ends the work.
void add_hashes(LoraInfo& info, const std::vector<LoraLayout>& layouts,
                const HashProgress& progress = {});

/// For people, lines ending in \n; text from the file is escaped.
std::string lora_info_text(const LoraInfo& info);
/// One JSON object.
std::string lora_info_json(const LoraInfo& info);
/// Bars by block: norms where the files have them, else counts of modules. One series per file.
std::string lora_blocks_svg(const std::vector<LoraInfo>& files);

}  // namespace fourstep
