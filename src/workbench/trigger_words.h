#pragma once
// The words that call what a LoRA shows, as its metadata say them.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "io/file_metadata.h"

namespace fourstep {

/// What the metadata says of the words that call the subject: modelspec.trigger_phrase (with count 0), else kohya's
/// most frequent tags (ss_tag_frequency), at most `count`. Damaged entries count as absent.
std::vector<std::pair<std::string, int64_t>> trigger_words(const Metadata& metadata,
                                                           size_t count = 10);

}  // namespace fourstep
