#pragma once
// How many singular values of a module are worth keeping, by the rules that kohya's resize script has.

#include <cstdint>
#include <string>

#include "base/tensor.h"

namespace fourstep {

enum class RankRule {
  kFixed,       ///< `max_rank`
  kRatio,       ///< sv_ratio: values above the largest / target
  kCumulative,  ///< sv_cumulative: the first values whose sum reaches target of the sum of all
  kFrobenius    ///< sv_fro: the first values whose norm reaches target of the norm of all
};

struct RankChoice {
  RankRule rule = RankRule::kFixed;
  double target = 0;      ///< of the rule: kRatio above 1, the others in (0,1]
  int64_t max_rank = 64;  ///< upper bound of every rule
};

/// Throws InvalidRequest when target or max_rank are out of range.
void check(const RankChoice& choice);

/// At least 1, at most max_rank and the number of values.
/// singular_values: [k], falling. Source: sd-scripts' resize_lora (index_sv_ratio, _cumulative, _fro).
int64_t choose_rank(const Tensor& singular_values, const RankChoice& choice);

/// sqrt of the sum of squares behind the first `rank` values: the norm of what is lost.
double discarded_norm(const Tensor& singular_values, int64_t rank);

/// "rank 32", "sv_fro 0.9, at most rank 64".
std::string text_of(const RankChoice& choice);

}  // namespace fourstep
