#pragma once
// What LoRA modules add, as vectors with inner products: for plain low-rank modules from r x r matrices without
// ever making the difference itself; for all other kinds from the difference, one at a time. In double.
// With Delta = f B A:  <Delta_1, Delta_2> = f_1 f_2 sum((B_1' B_2) * (A_1 A_2')).
// DoRA's magnitudes need the model's weight and are left out.

#include <optional>
#include <vector>

#include "lora/lora_file.h"

namespace fourstep {

/// B and A of a plain low-rank module in double, its factor within B.
struct Factors {
  Tensor up;    ///< [out,r]
  Tensor down;  ///< [r,cols]
};

/// Nothing for Tucker forms, LoHa, LoKr and full differences. scale: multiplies what the module adds.
std::optional<Factors> factors_of(const LoraModule& module, double scale = 1);

/// The difference as a matrix [out,cols] in double, the factor included, DoRA left out.
Tensor dense_delta(const LoraModule& module);

/// <Delta_a, Delta_b>. Throws Error when their extents differ.
double inner(const LoraModule& a, const LoraModule& b);

/// ||Delta||^2, the sum of squares.
double norm_squared(const LoraModule& module);

/// ||Delta_a - scale Delta_b||^2. Factors of equal rank are subtracted first, and what is small beside the norms
/// is taken from QR decompositions, so that no digits cancel between two nearly equal files.
double distance_squared(const LoraModule& a, const LoraModule& b, double scale = 1);

/// u diag(s) v of a matrix, in double.
struct Decomposition {
  Tensor u;  ///< [out,k]
  Tensor s;  ///< [k], falling
  Tensor v;  ///< [k,cols]
};

/// Singular values and vectors of B A from the QR decompositions of its factors: with B = Q_b R_b and
/// A' = Q_a R_a they are those of the r x r matrix R_b R_a'.
Decomposition decompose(const Factors& factors);

/// Of any module: by factors where it has them, else of the whole difference.
Decomposition decompose(const LoraModule& module);

/// The `rank` largest values of the whole matrix [out,cols], fp32 arithmetic. Small matrices are decomposed
/// exactly; large ones by a randomised range finder with power iterations (Halko, Martinsson and Tropp 2011,
/// 0909.4061, algorithms 4.4 and 5.1), whose draws follow from the shape alone.
Decomposition decompose_largest(const Tensor& matrix, int64_t rank);

/// The first `rank` values as a module of alpha = rank (factor 1): each factor carries the square root of the
/// values, so that both have the same norm. shape: of the weight; a kernel stays with `down`.
LoraModule module_from(const Decomposition& decomposition, int64_t rank, const Shape& shape,
                       torch::ScalarType dtype);

}  // namespace fourstep
