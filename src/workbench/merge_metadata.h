#pragma once
// What a merged checkpoint says about its parts.

#include <vector>

#include "base/events.h"
#include "io/file_metadata.h"
#include "workbench/merge.h"

namespace fourstep {

/// The metadata of the base with
///   sd_merge_recipe   JSON: type "fourstep", dtype, rounding, seed, base and loras, each with name, weight, SHA-256
///                     and license where known (the key of A1111's merger, which readers show),
///   sd_merge_models   JSON: by SHA-256 of each part its name (as A1111),
///   modelspec.merged_from, modelspec.license (those of the parts, each once; ModelSpec 1.0).
/// A recipe that the base had is kept inside the new one as "base_recipe".
/// Reports kHash while the parts are read, when hashes are wanted.
Metadata merge_metadata(const BaseModel& base, const std::vector<AppliedLora>& loras,
                        const MergeSettings& settings, const Events& events);

}  // namespace fourstep
