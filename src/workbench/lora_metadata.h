#pragma once
// What the metadata of LoRA files say, in the keys of kohya's trainers and of ModelSpec.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace fourstep {

using Metadata = std::map<std::string, std::string>;

/// Empty when there is none of this key.
std::string entry_of(const Metadata& metadata, const std::string& key);

/// The first entry of `keys` that is there and not empty.
std::string first_entry(const Metadata& metadata, std::initializer_list<const char*> keys);

/// The first of the entries that licences are written to; empty when there is none.
std::string licence_of(const Metadata& metadata);

/// What the metadata says of the words that call the subject: modelspec.trigger_phrase (with count 0), else kohya's
/// most frequent tags (ss_tag_frequency), at most `count`. Damaged entries count as absent.
std::vector<std::pair<std::string, int64_t>> trigger_words(const Metadata& metadata,
                                                           size_t count = 10);

}  // namespace fourstep
