#pragma once
// The lists of options in a --wildcards folder.

#include <string>

#include "base/dialect.h"
#include "base/events.h"
#include "text/wildcards.h"

namespace fourstep {

/// "name" is a line of NAME.txt in the folder or below it; with "*", "?" or "[...]" one of all
/// lists whose name below the folder fits, upper and lower case being one, else of those that fit
/// in some sub-folder. Empty lines and lines with "#" in front do not count, and comments of the
/// dialect end a line. Files are UTF-8, or UTF-16 with a byte order mark; others are read as
/// Windows-1252, with a notice. Each file is read once.
/// Throws InvalidRequest for a folder that is not there; the function throws it for names without a
/// list, saying so where the folder has YAML or JSON, and for lists without options.
WildcardOptions wildcard_lists(const std::string& folder, Dialect dialect, const Events& events);

}  // namespace fourstep
