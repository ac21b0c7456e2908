#pragma once
// The images that one command draws: lists of seeds and sizes.

#include <string>
#include <vector>

#include "base/events.h"
#include "pipeline/request.h"

namespace fourstep {

/// One request per seed and size, sizes outermost; one per image where prompts have random parts. seeds: "1,2,3", -1 for
/// a random one; empty: the request's, or one random seed for all sizes. sizes: "1024x1024,832x1216"; empty: the
/// request's. Throws InvalidRequest for what is no such list, empty places included, and for two kinds of seeds.
std::vector<Request> image_series(const Request& request, const std::string& seeds,
                                  const std::string& sizes, const Events& events = {});

}  // namespace fourstep
