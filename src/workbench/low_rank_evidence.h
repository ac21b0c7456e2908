#pragma once
// Whether the difference of two checkpoints looks like a LoRA, without knowing which.

#include "io/checkpoint.h"
#include "lora/lora_match.h"

namespace fourstep {

/// The share of the squared norm of `matrix` ([m,n], fp32) that a subspace of `rank` columns holds, found by
/// one random projection (Halko, Martinsson, Tropp 2011, alg. 4.1, with a fixed seed).
double low_rank_share(const Tensor& matrix, int64_t rank);

/// True when, in the modules of `match`, what remains of checkpoint - base after `strength` times the LoRA is
/// both sizable (a fifth of the LoRA's norm and more) and of low rank: its leading subspace holds more than
/// half way between the share of pure noise, at most rank * (sqrt m + sqrt n)^2 / (m n) (the edge of
/// Marchenko and Pastur's law), and all. Looks at 12 modules; the median decides.
bool has_other_low_rank_change(const Checkpoint& checkpoint, const Checkpoint& base,
                               const LoraMatch& match, double strength);

}  // namespace fourstep
