#pragma once
// How weights are stored: rounding fp32 values to a storage type, to the nearest value or at random
// in proportion to the distances, which loses no small change on average.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "io/model_family.h"
#include "lora/lora_match.h"
#include "workbench/strength.h"

namespace fourstep {

/// kInt8: whole numbers from -127 to 127 times one fp32 scale per output (largest magnitude / 127).
/// It is here to measure what it loses; nothing is written in it.
enum class Storage { kFp32, kFp16, kBf16, kFp8, kInt8 };

/// "fp32", "fp16", "bf16", "fp8" (e4m3fn), "int8".
const char* to_string(Storage storage);
/// Throws InvalidRequest naming the flag and the known words; int8 is none of them.
Storage storage_from_text(const char* flag, const std::string& word);
/// The storage of a tensor's type; nothing for integers, fp64 and others.
std::optional<Storage> storage_of(torch::ScalarType dtype);
/// Throws Error for int8.
torch::ScalarType dtype_of(Storage storage);
/// The spacing of a floating type's numbers relative to the power of two below them (its epsilon).
double spacing_of(torch::ScalarType type);

/// The type a tensor of a checkpoint gets when `wanted` is asked for: integers keep theirs; fp8 is
/// for weights of two dimensions and more outside the VAE, all else is then fp16, which is how such
/// files are made.
torch::ScalarType stored_dtype(const Tensor& tensor, std::optional<Component> component,
                               std::optional<Storage> wanted);

enum class StorageRounding { kNearest, kStochastic };

/// `values` (fp32, contiguous, CPU) in `dtype`. Stochastic: each goes to one of its two neighbours
/// with a probability that makes the mean exact (Croci et al. 2022: Stochastic rounding, sec. 2),
/// from a counter-based generator of (seed, position), so that threads do not matter. Values beyond
/// fp8's largest (448) become that.
/// Throws Error for random rounding to other types than fp32, fp16, bf16 and fp8.
Tensor stored(const Tensor& values, torch::ScalarType dtype, StorageRounding rounding,
              uint64_t seed);

/// Another stream of random numbers for every tensor, the same in every run.
uint64_t seed_of_tensor(uint64_t seed, const std::string& name);

/// Throws Error naming tensor and file when `values` are fp16 and one of them is infinite or NaN.
void check_overflow(const Tensor& values, const std::string& name,
                    const std::filesystem::path& file);

/// What remains of `values` ([rows, ...], fp32) after being stored to the nearest and read again,
/// fp32.
Tensor as_stored(const Tensor& values, Storage storage);

// What rounding leaves of a small change of weights.

struct RoundingLoss {
  double arrived = 1;    ///< <moved, change> / <change, change>: the strength that remains of 1
  double error = 0;      ///< norm of (moved - change) over that of change
  double unchanged = 0;  ///< share of weights that did not move
};

/// weights: fp32 [rows, ...], first rounded to `storage` themselves; change: of the same shape.
/// moved is what a merge into the stored weights, stored again, adds to them.
RoundingLoss rounding_loss(const Tensor& weights, const Tensor& change, Storage storage);

/// Some rows of a weight and of a module's change at strength 1, fp32, for estimates.
struct SampledRows {
  Tensor weight, change;
  double share = 1;  ///< how much this module counts among all
  /// What a stored 1 is worth in a file of scaled fp8, of the shape of the weight; undefined for
  /// plain weights.
  Tensor unit{};
};

/// At most `count` rows from the middle of the weight. Throws Error when the module does not fit
/// it.
SampledRows sample_rows(const Tensor& weight, const LoraModule& module, int64_t count);

/// rounding_loss() of changes `strength` times as large, averaged over `samples` by their shares.
RoundingLoss mean_rounding_loss(const std::vector<SampledRows>& samples, double strength,
                                Storage storage);

/// Strengths between which the truth lies.
struct StrengthRange {
  double low = 0, high = 0;
};

/// Of merges into weights that were in `storage` already. One end of the error bar of `observed` is
/// the strength itself (other changes carried the LoRA over the steps of the grid); the other is
/// the strength whose merge shows as that end when nothing but the LoRA moved the weights, found by
/// merging into `samples` again (in their units) and pooling as for the estimate (share: the
/// module's information). At most 2 farther from 0.
StrengthRange range_before_rounding(const std::vector<SampledRows>& samples,
                                    const StrengthEstimate& observed, Storage storage);

/// Of merges into finer weights, which lie anywhere between the values of the grid. Rounding shows
/// a small change of them in the mean as the sum of (step * density) over the middles between grid
/// values: the midpoint rule for the integral of the density p, short of it by the mean of step^2 /
/// 24 * p''. With steps in proportion to the weight that is the mean of (step / weight)^2 / 12
/// (twice by parts), and with mantissas that are even in the logarithm epsilon^2 / (32 ln 2): 0.07%
/// in fp8. Weights below the type's normal numbers lose nothing.
StrengthRange range_before_mean_loss(const StrengthEstimate& observed, Storage storage);

}  // namespace fourstep
