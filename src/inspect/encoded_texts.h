#pragma once
// The texts that the text encoders read for a request, and when the network is shown them.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/model_facts.h"
#include "request/resolve.h"

namespace fourstep {

struct EncodedTextUse {
  std::string role;     ///< "prompt", "negative prompt", "NAG prompt", "empty prompt" (of Perp-Neg)
  std::string text;     ///< after comments, random parts, network tags, AND and schedules
  std::string calls;    ///< of the network: "0-2, 4"; empty: all
  double weight = 1;    ///< of a part of "a AND b"
  bool is_used = true;  ///< false: has no influence at this CFG scale, so it is not encoded
  bool is_zeros = false;  ///< zeros stand in for the encoders' states
};

/// Each text once, in the order in which they come up (see plan_texts()).
std::vector<EncodedTextUse> encoded_texts(const ResolvedRequest& request);

/// What there is to say about its use: "calls 0-2; weight 0.5"; may be empty.
std::string note_of(const EncodedTextUse& use);

nlohmann::ordered_json json_from(const EncodedTextUse& use);

}  // namespace fourstep
