#pragma once
// A checkpoint in another element type or layout.

#include <filesystem>
#include <map>
#include <string>

#include "workbench/merge.h"

namespace fourstep {

/// Writes `input` (file or diffusers folder) to `output`: a single file when that ends with .safetensors, else a
/// diffusers folder, which must not exist yet. LoRAs in `settings` do not count.
/// What the checkpoint's metadata say goes with it: into a folder's UNet file, and from there into a single file.
/// A folder is made under a temporary name beside `output` and renamed when it is whole. Streams as
/// merge_into_file(); reports kSave. Throws as merge_into_file(), and InvalidRequest when the folder is there.
/// extra_files: what a folder gets beside it, text by path inside; tokenizers, for instance.
MergeReport convert_model(const std::filesystem::path& input, const MergeSettings& settings,
                          const std::filesystem::path& output, const Events& events,
                          const std::map<std::string, std::string>& extra_files = {});

}  // namespace fourstep
