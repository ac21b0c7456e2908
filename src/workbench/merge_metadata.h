#pragma once
// What a merged checkpoint says about its parts.

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/events.h"
#include "io/tensor_file.h"
#include "workbench/merge.h"

namespace fourstep {

// How the metadata of results name the files that they were made from.

/// SHA-256 of a file, from the user's cache where it is known; empty for folders and builds without
/// it. Reports kHash in MiB.
std::string sha256_of(const std::filesystem::path& path, const Events& events);

/// {"name", "sha256", "title", "license"} of a part: the keys of A1111's merger and ModelSpec's
/// spelling. What is not known is left out. metadata: of the part.
nlohmann::ordered_json part_json(const std::filesystem::path& path, const std::string& sha256,
                                 const Metadata& metadata);

/// The texts that are not empty, each once, in their order.
std::string joined(const std::vector<std::string>& texts, const char* separator);

/// The metadata of the base with
///   sd_merge_recipe   JSON: type "fourstep", dtype, rounding, seed, base and loras, each with
/// name, weight, SHA-256
///                     and license where known (the key of A1111's merger, which readers show),
///   sd_merge_models   JSON: by SHA-256 of each part its name (as A1111),
///   modelspec.merged_from, modelspec.license (those of the parts, each once; ModelSpec 1.0).
/// A recipe that the base had is kept inside the new one as "base_recipe".
/// Reports kHash while the parts are read, when hashes are wanted.
Metadata merge_metadata(const BaseModel& base, const std::vector<AppliedLora>& loras,
                        const MergeSettings& settings, const Events& events);

}  // namespace fourstep
