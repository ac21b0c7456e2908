#pragma once
// LoRAs into a checkpoint, for good. The arithmetic is that of lora/fuse.h: fp32, all LoRAs of a
// weight summed first, rounded once. Tensors stream from the mapped file to the new one, so memory
// does not grow with the checkpoint.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/events.h"
#include "lora/lora_match.h"
#include "workbench/base_model.h"
#include "workbench/storage.h"

namespace fourstep {

struct WeightedLora {
  std::filesystem::path path;
  double unet_weight = 1;  ///< negative weights take the LoRA out
  double text_weight = 1;
};

struct MergeSettings {
  std::vector<WeightedLora> loras;  ///< may be empty: only the type changes
  std::optional<Storage> storage;   ///< nothing: every tensor keeps its type
  StorageRounding rounding = StorageRounding::kNearest;
  uint64_t seed = 0;                ///< of random rounding
  bool is_partial_allowed = false;  ///< a LoRA may have modules that the base has no place for
  ModelPaths parts = {};  ///< parts of other files that go into the model; `model` does not count
  bool with_hashes =
      true;  ///< SHA-256 of the parts go into the metadata; they are read whole for it
};

struct MergeReport {
  std::vector<std::string> loras;  ///< "NAME: 788/788 modules at 0.7", and what else to know of it
  size_t num_changed = 0;          ///< weights that a LoRA changed
  size_t num_tensors = 0;
  uint64_t num_bytes = 0;                 ///< of the file written
  std::vector<std::string> notices = {};  ///< see notices_of()
};

/// Writes `base` with the LoRAs in it to `output` (safetensors, single-file names, atomically).
/// Metadata: that of the base, and what merge_metadata.h adds. Reports kSave, one step per tensor.
/// Throws InvalidRequest when `output` is one of the parts or has no room on its disk, Error when a
/// LoRA does not fit (nothing is written then) or a value overflows fp16.
MergeReport merge_into_file(const std::filesystem::path& base, const MergeSettings& settings,
                            const std::filesystem::path& output, const Events& events);

// A checkpoint in another element type or layout.

/// Writes `input` (file or diffusers folder) to `output`: a single file when that ends with
/// .safetensors, else a diffusers folder, which must not exist yet. LoRAs in `settings` do not
/// count. What the checkpoint's metadata say goes with it: into a folder's UNet file, and from
/// there into a single file. A folder is made under a temporary name beside `output` and renamed
/// when it is whole. Streams as merge_into_file(); reports kSave. Throws as merge_into_file(), and
/// InvalidRequest when the folder is there.
/// extra_files: what a folder gets beside it, text by path inside; tokenizers, for instance.
MergeReport convert_model(const std::filesystem::path& input, const MergeSettings& settings,
                          const std::filesystem::path& output, const Events& events,
                          const std::map<std::string, std::string>& extra_files = {});

}  // namespace fourstep
