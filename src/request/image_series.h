#pragma once
// The images that one command draws: lists of seeds and sizes, and prompts with random parts, which
// are decided before anything else is done with them.

#include <string>
#include <vector>

#include "base/events.h"
#include "request/request.h"

namespace fourstep {

/// Without the comments of the dialect. Where the prompts have random parts (expand_wildcards();
/// "__name__" while there is a --wildcards folder, see wildcard_lists()): one request for each
/// image, with its own seed and what the seed chose; else one request. In the dialect diffusers all
/// is text. A missing seed is drawn, so that the image can be made again.
/// Throws InvalidRequest as these two do.
std::vector<Request> expand_prompts(const Request& request, const Events& events = {});

/// One request per seed and size, sizes outermost; one per image where prompts have random parts.
/// seeds: "1,2,3", -1 for a random one; empty: the request's, or one random seed for all sizes.
/// sizes: "1024x1024,832x1216"; empty: the request's. Throws InvalidRequest for what is no such
/// list, empty places included, and for two kinds of seeds.
std::vector<Request> image_series(const Request& request, const std::string& seeds,
                                  const std::string& sizes, const Events& events = {});

}  // namespace fourstep
