#pragma once
// The hashes that image metadata names models by, so that sites find the files.

#include <filesystem>
#include <string>
#include <vector>

#include "base/events.h"
#include "pipeline/request.h"

namespace fourstep {

/// Empty where a file has none: folders, and builds without SHA-256.
struct HashTags {
  std::string model;            ///< AutoV2 of the checkpoint, A1111's "Model hash"
  std::string vae;              ///< AutoV2 of a separate VAE
  std::string loras;            ///< "name: hash, name: hash" with AutoV3, A1111's "Lora hashes"
  std::string inversions = {};  ///< alike, first 12 digits of SHA-256, A1111's "TI hashes"
};

/// Reads each file once; afterwards the user's cache knows it (io/hash_cache.h). inversions: files of the textual
/// inversions in use.
HashTags make_hash_tags(const Request& request,
                        const std::vector<std::filesystem::path>& inversions, const Events& events);

}  // namespace fourstep
