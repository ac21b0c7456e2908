#pragma once
// What the environment says: variables under the several names that launchers give them.

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

namespace fourstep {

/// The first of the variables that is set, or "".
std::string text_from_environment(std::initializer_list<const char*> names);

/// The first of the variables that is set, as a whole number.
/// Throws InvalidRequest naming the variable when it is none from `smallest` to `largest`.
std::optional<int64_t> whole_number_from_environment(std::initializer_list<const char*> names,
                                                     int64_t smallest, int64_t largest);

}  // namespace fourstep
