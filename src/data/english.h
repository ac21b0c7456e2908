#pragma once
// The little English grammar that captions need.

#include <string>
#include <string_view>

namespace fourstep {

/// Whether the noun stands without article: a plural ("grapes", "nest with eggs" not) or a mass ("bread").
bool is_without_article(std::string_view noun);

/// "a" or "an", by the sound with which `phrase` begins ("an egg", "a unicorn").
std::string_view indefinite_article(std::string_view phrase);

/// "a small pizza", "an egg", "small grapes". adjective: may be empty.
std::string noun_phrase(std::string_view adjective, std::string_view noun);

}  // namespace fourstep
