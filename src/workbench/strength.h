#pragma once
// One strength from the estimates of many modules, with an error bar that the scatter of the
// modules gives.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "io/checkpoint.h"
#include "lora/lora_file.h"
#include "lora/lora_match.h"

namespace fourstep {

/// What one module says.
struct ModuleStrength {
  ParameterId id;
  double strength = 0;     ///< <X, D> / <D, D>, X being what the checkpoint adds to the base
  double information = 0;  ///< the inverse of its variance, up to a factor common to all modules
};

struct StrengthEstimate {
  double strength = 0;
  double error = 0;    ///< half the width of the 95% interval
  double scatter = 0;  ///< robust deviation of the modules, in units of 1 / sqrt(information)
  size_t num_modules = 0;
};

/// Huber's M-estimate of location (Huber 1964, k = 1.5) from the weighted median, so that a few
/// modules that something else changed do not count; the error is its asymptotic one as the
/// residuals show it (sum of psi^2 over the square of the sum of psi', Huber 1964, eq. 30) times
/// Student's 97.5% quantile for the effective number of modules. With one module the error is
/// infinite. Throws Error without any module.
StrengthEstimate pooled(std::span<const ModuleStrength> modules);

/// Student's two-sided 95% quantile (Abramowitz and Stegun 26.7.5, within 1% from 3 degrees on).
double student_quantile(double degrees_of_freedom);

// How much of a LoRA's difference lies in a weight: inner products with D = alpha / rank * up @
// down that do not need D itself.

/// <.,.> is the sum of the products of all elements.
struct Projection {
  double dot = 0;            ///< <W, D>
  double weight_norm2 = 0;   ///< <W, W>
  double delta_norm2 = 0;    ///< <D, D>
  int64_t num_elements = 0;  ///< of W
};

/// True for differences that do not depend on the weight they are added to; false for DoRA, GLoRA,
/// OFT and the like.
bool is_projectable(const LoraModule& module);

/// weight: any type, may be a view of a file. For low rank <W, BA> = sum of (B^T W) * A, element by
/// element, and <BA, BA> = sum of (B^T B) * (A A^T) (the trace is cyclic); other kinds are
/// multiplied out. fp32 products, summed in double where they meet, rows of a few MB at a time.
/// Throws Error when the shapes do not fit.
Projection project(const Tensor& weight, const LoraModule& module);

/// Of weight - base, which has the same shape.
Projection project_difference(const Tensor& weight, const Tensor& base, const LoraModule& module);

/// <W, W>. weight: one dimension or more, any type, may be a view of a file.
double weight_norm2(const Tensor& weight);

// Whether the difference of two checkpoints looks like a LoRA, without knowing which.

/// The share of the squared norm of `matrix` ([m,n], fp32) that a subspace of `rank` columns holds,
/// found by one random projection (Halko, Martinsson, Tropp 2011, alg. 4.1, with a fixed seed).
double low_rank_share(const Tensor& matrix, int64_t rank);

/// True when, in the modules of `match`, what remains of checkpoint - base after `strength` times
/// the LoRA is both sizable (a fifth of the LoRA's norm and more) and of low rank: its leading
/// subspace holds more than half way between the share of pure noise, at most rank * (sqrt m + sqrt
/// n)^2 / (m n) (the edge of Marchenko and Pastur's law), and all. Looks at 12 modules; the median
/// decides.
bool has_other_low_rank_change(const Checkpoint& checkpoint, const Checkpoint& base,
                               const LoraMatch& match, double strength);

}  // namespace fourstep
