#pragma once
// What the metadata of weight files say, whatever wrote them: text by key.

#include <initializer_list>
#include <map>
#include <string>

namespace fourstep {

using Metadata = std::map<std::string, std::string>;

/// Empty when there is none of this key.
std::string entry_of(const Metadata& metadata, const std::string& key);

/// The first entry of `keys` that is there and not empty.
std::string first_entry(const Metadata& metadata, std::initializer_list<const char*> keys);

/// The first of the entries that licences are written to (ModelSpec's, and what trainers use); empty when there is none.
std::string licence_of(const Metadata& metadata);

}  // namespace fourstep
