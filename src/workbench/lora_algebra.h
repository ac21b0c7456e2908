#pragma once
// What LoRA modules add, as vectors with inner products: for plain low-rank modules from r x r
// matrices without ever making the difference itself; for all other kinds from the difference, one
// at a time. In double. With Delta = f B A:  <Delta_1, Delta_2> = f_1 f_2 sum((B_1' B_2) * (A_1
// A_2')). DoRA's magnitudes need the model's weight and are left out.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "lora/lora_file.h"

namespace fourstep {

/// B and A of a plain low-rank module in double, its factor within B.
struct Factors {
  Tensor up;    ///< [out,r]
  Tensor down;  ///< [r,cols]
};

/// Nothing for Tucker forms, LoHa, LoKr and full differences. scale: multiplies what the module
/// adds.
std::optional<Factors> factors_of(const LoraModule& module, double scale = 1);

/// The difference as a matrix [out,cols] in double, the factor included, DoRA left out.
Tensor dense_delta(const LoraModule& module);

/// <Delta_a, Delta_b>. Throws Error when their extents differ.
double inner(const LoraModule& a, const LoraModule& b);

/// ||Delta||^2, the sum of squares.
double norm_squared(const LoraModule& module);

/// ||Delta_a - scale Delta_b||^2. Factors of equal rank are subtracted first, and what is small
/// beside the norms is taken from QR decompositions, so that no digits cancel between two nearly
/// equal files.
double distance_squared(const LoraModule& a, const LoraModule& b, double scale = 1);

/// u diag(s) v of a matrix, in double.
struct Decomposition {
  Tensor u;  ///< [out,k]
  Tensor s;  ///< [k], falling
  Tensor v;  ///< [k,cols]
};

/// Singular values and vectors of B A from the QR decompositions of its factors: with B = Q_b R_b
/// and A' = Q_a R_a they are those of the r x r matrix R_b R_a'.
Decomposition decompose(const Factors& factors);

/// Of any module: by factors where it has them, else of the whole difference.
Decomposition decompose(const LoraModule& module);

/// The `rank` largest values of the whole matrix [out,cols], fp32 arithmetic. Small matrices are
/// decomposed exactly; large ones by a randomised range finder with power iterations (Halko,
/// Martinsson and Tropp 2011, 0909.4061, algorithms 4.4 and 5.1), whose draws follow from the shape
/// alone.
Decomposition decompose_largest(const Tensor& matrix, int64_t rank);

/// The first `rank` values as a module of alpha = rank (factor 1): each factor carries the square
/// root of the values, so that both have the same norm. shape: of the weight; a kernel stays with
/// `down`.
LoraModule module_from(const Decomposition& decomposition, int64_t rank, const Shape& shape,
                       torch::ScalarType dtype);

// How many singular values of a module are worth keeping, by the rules that kohya's resize script
// has.

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
/// singular_values: [k], falling. Source: sd-scripts' resize_lora (index_sv_ratio, _cumulative,
/// _fro).
int64_t choose_rank(const Tensor& singular_values, const RankChoice& choice);

/// sqrt of the sum of squares behind the first `rank` values: the norm of what is lost.
double discarded_norm(const Tensor& singular_values, int64_t rank);

/// "rank 32", "sv_fro 0.9, at most rank 64".
std::string text_of(const RankChoice& choice);

}  // namespace fourstep
