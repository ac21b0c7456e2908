#pragma once
// How weights are stored: rounding fp32 values to a storage type, to the nearest value or at random in
// proportion to the distances, which loses no small change on average.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/tensor.h"
#include "io/model_family.h"

namespace fourstep {

/// kInt8: whole numbers from -127 to 127 times one fp32 scale per output (largest magnitude / 127). It is here
/// to measure what it loses; nothing is written in it.
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

/// The type a tensor of a checkpoint gets when `wanted` is asked for: integers keep theirs; fp8 is for weights
/// of two dimensions and more outside the VAE, all else is then fp16, which is how such files are made.
torch::ScalarType stored_dtype(const Tensor& tensor, std::optional<Component> component,
                               std::optional<Storage> wanted);

enum class StorageRounding { kNearest, kStochastic };

/// `values` (fp32, contiguous, CPU) in `dtype`. Stochastic: each goes to one of its two neighbours with a
/// probability that makes the mean exact (Croci et al. 2022: Stochastic rounding, sec. 2), from a counter-based
/// generator of (seed, position), so that threads do not matter. Values beyond fp8's largest (448) become that.
/// Throws Error for random rounding to other types than fp32, fp16, bf16 and fp8.
Tensor stored(const Tensor& values, torch::ScalarType dtype, StorageRounding rounding,
              uint64_t seed);

/// Another stream of random numbers for every tensor, the same in every run.
uint64_t seed_of_tensor(uint64_t seed, const std::string& name);

/// Throws Error naming tensor and file when `values` are fp16 and one of them is infinite or NaN.
void check_overflow(const Tensor& values, const std::string& name,
                    const std::filesystem::path& file);

/// What remains of `values` ([rows, ...], fp32) after being stored to the nearest and read again, fp32.
Tensor as_stored(const Tensor& values, Storage storage);

}  // namespace fourstep
