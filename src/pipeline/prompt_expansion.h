#pragma once
// The random parts of prompts, decided before anything else is done with them.

#include <vector>

#include "pipeline/request.h"

namespace fourstep {

/// Where the prompts have "{a|b}", or "__name__" while there is a --wildcards folder: one request for each image, with
/// its own seed and what the seed chose; else the request itself. "__name__" is a line of NAME.txt in that folder or
/// below it; empty lines and those that begin with # do not count. In the dialect diffusers all is text. A missing
/// seed is drawn, so that the image can be made again.
/// Throws InvalidRequest as expand_wildcards() does, and for names without a file.
std::vector<Request> expand_prompts(const Request& request);

}  // namespace fourstep
