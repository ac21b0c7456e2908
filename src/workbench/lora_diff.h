#pragma once
// Two LoRA files compared by what they add to the weights, whatever their key styles and ranks.

#include <filesystem>
#include <string>
#include <vector>

#include "workbench/lora_fit.h"

namespace fourstep {

/// Inner products of what two files add to the same weights.
struct Comparison {
  size_t num_common = 0, num_only_a = 0, num_only_b = 0;  ///< modules
  double a = 0, b = 0;                                    ///< <A,A>, <B,B>
  double ab = 0;                                          ///< <A,B>
  double distance = 0;                                    ///< ||A - B||^2
  double worst_angle =
      0;  ///< the largest sin^2 of the angle between A and B among the common modules

  /// ||A - B|| / max(||A||, ||B||); 0 when both are 0.
  double relative() const;
  /// <A,B> / (||A|| ||B||); 0 when one is 0.
  double cosine() const;
  /// s of the smallest ||B - s A||; 0 when A is 0.
  double scale() const;
};

enum class LoraRelation {
  kIdentical,        ///< no difference but rounding of double
  kSamePrecisions,   ///< within the rounding of the coarser of their data types
  kScaled,           ///< one is a multiple of the other, within that rounding
  kReweighted,       ///< module by module multiples of each other, by different factors
  kSameThroughHalf,  ///< within the rounding of fp16, finer than which both files are
  kRelated,          ///< cosine of at least 0.5
  kDifferent,
  kDisjoint  ///< no weight is changed by both
};

struct LoraDiff {
  std::filesystem::path path_a, path_b;
  Comparison total;
  std::vector<std::pair<std::string, Comparison>> blocks;  ///< in order of execution
  std::string dtype_a, dtype_b;                            ///< the coarsest of the factors' types
  double tolerance = 0;  ///< the relative difference that these types explain
  LoraRelation relation = LoraRelation::kDifferent;
};

/// DoRA's magnitudes are left out. Throws Error when both change a weight of different shapes.
LoraDiff diff_loras(const FittedLora& a, const FittedLora& b);

/// One sentence, for instance "the same LoRA in two precisions (F16 and F32): ...".
std::string verdict(const LoraDiff& diff);

/// The sentence and a table of the blocks, lines ending in \n.
std::string diff_text(const LoraDiff& diff);
std::string diff_json(const LoraDiff& diff);

}  // namespace fourstep
