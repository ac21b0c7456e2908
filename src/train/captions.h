#pragma once
// Batches of captions to conditioning, with gradients where the encoders' weights have them.

#include <span>
#include <string>

#include "text/conditioning.h"

namespace fourstep {

/// One chunk of 77 ids per caption; what is longer is cut off. context [B,77,cross], pooled [B,P], and time_ids
/// [B,6] for square pictures of `side` px without crop, all on the device of the encoders.
Conditioning encode_captions(const TextEncoders& encoders, std::span<const std::string> captions,
                             int64_t side);

/// The rows [begin, begin + count) of a conditioning.
Conditioning rows_of(const Conditioning& cond, int64_t begin, int64_t count);

/// SDXL's null condition: zeros for context and pooled, the same sizes.
Conditioning null_condition(const Conditioning& cond);

/// Both, one after the other along the batch.
Conditioning stack_rows(const Conditioning& a, const Conditioning& b);

}  // namespace fourstep
