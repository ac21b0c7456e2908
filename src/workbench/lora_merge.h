#pragma once
// Several LoRAs as one, and one at another rank.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/events.h"
#include "workbench/lora_algebra.h"
#include "workbench/lora_blocks.h"
#include "workbench/lora_fit.h"

namespace fourstep {

struct MergePart {
  std::map<ParameterId, LoraModule> modules;
  double unet_weight = 1, text_weight = 1;  ///< any finite numbers
  BlockWeights blocks;
  BundledEmbeddings embeddings = {};
  std::string name = {};  ///< of the file, for messages
};

struct MergeResult {
  std::map<ParameterId, LoraModule> modules;  ///< new factors in fp32
  double total_squared = 0;                   ///< ||sum of the parts||^2
  double lost_squared = 0;            ///< ||result - sum||^2, discarded singular values included
  BundledEmbeddings embeddings = {};  ///< of all parts

  /// The root of their ratio: 0 for an exact result.
  double relative_error() const;
};

/// The sum of weight * difference over the parts. Without `rank` exact: the factors are stacked,
/// B = [c_1 B_1, c_2 B_2, ...], A = [A_1; A_2; ...], alpha such that one c_k is 1, so ranks add up;
/// a module that only one part has keeps its factors bit by bit, its weight in alpha. Kinds that
/// are no plain factors become full differences where several meet. With `rank`: singular values of
/// the sum, the best approximation of that rank (Eckart and Young); a single module that has it
/// already keeps its factors.
/// layout: for block weights and shapes. Throws Error where modules whose change depends on the
/// model's weight (DoRA, GLoRA, OFT, ...) meet others, or DoRA and OFT a weight other than 1, and
/// InvalidRequest when nothing is left or two parts bundle different embeddings of one name.
MergeResult merge_loras(const std::vector<MergePart>& parts, const LoraLayout& layout,
                        const std::optional<RankChoice>& rank, const Events& events = {});

}  // namespace fourstep
