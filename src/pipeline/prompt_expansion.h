#pragma once
// The comments and random parts of prompts, decided before anything else is done with them.

#include <vector>

#include "base/events.h"
#include "pipeline/request.h"

namespace fourstep {

/// Without the comments of the dialect. Where the prompts have random parts (expand_wildcards(); "__name__" while there is a
/// --wildcards folder, see wildcard_lists()): one request for each image, with its own seed and what the seed chose; else
/// one request. In the dialect diffusers all is text. A missing seed is drawn, so that the image can be made again.
/// Throws InvalidRequest as these two do.
std::vector<Request> expand_prompts(const Request& request, const Events& events = {});

}  // namespace fourstep
