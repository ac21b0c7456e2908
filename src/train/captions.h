#pragma once
// Batches of captions to conditioning, with gradients where the encoders' weights have them.

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "text/conditioning.h"

namespace fourstep {

// Models without pooled text (SD 1.5) have neither `pooled` nor a use for `time_ids`.

/// One chunk of 77 ids per caption; what is longer is cut off. context [B,77,cross], pooled [B,P],
/// and time_ids [B,6] for square pictures of `side` px without crop, all on the device of the
/// encoders.
Conditioning encode_captions(const TextEncoders& encoders, std::span<const std::string> captions,
                             int64_t side);

/// The same with a size and crop for each.
Conditioning encode_captions(const TextEncoders& encoders, std::span<const std::string> captions,
                             std::span<const SizeConditioning> sizes);

/// The rows [begin, begin + count) of a conditioning.
Conditioning rows_of(const Conditioning& cond, int64_t begin, int64_t count);

/// SDXL's null condition: zeros for context and pooled, the same sizes.
Conditioning null_condition(const Conditioning& cond);

/// Some rows of context and pooled replaced by zeros. is_kept: [B] of truth values.
Conditioning drop_captions(Conditioning cond, const Tensor& is_kept);

/// Both, one after the other along the batch.
Conditioning stack_rows(const Conditioning& a, const Conditioning& b);

/// The lines of a text file without blanks around them, empty ones left out.
/// Throws Error when it cannot be read or has none.
std::vector<std::string> read_prompts(const std::filesystem::path& path);

}  // namespace fourstep
