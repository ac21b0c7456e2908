#pragma once
// How the metadata of results name the files that they were made from.

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/events.h"
#include "io/file_metadata.h"

namespace fourstep {

/// SHA-256 of a file, from the user's cache where it is known; empty for folders and builds without it. Reports
/// kHash in MiB.
std::string sha256_of(const std::filesystem::path& path, const Events& events);

/// {"name", "sha256", "title", "license"} of a part: the keys of A1111's merger and ModelSpec's spelling. What is not known is
/// left out. metadata: of the part.
nlohmann::ordered_json part_json(const std::filesystem::path& path, const std::string& sha256,
                                 const Metadata& metadata);

/// The texts that are not empty, each once, in their order.
std::string joined(const std::vector<std::string>& texts, const char* separator);

}  // namespace fourstep
