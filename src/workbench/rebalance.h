#pragma once
// Brings the LoRA that was merged into a checkpoint to another strength: measured, merged with the
// difference, measured again.

#include <filesystem>

#include "workbench/detect.h"
#include "workbench/merge.h"

namespace fourstep {

struct RebalanceSettings {
  DetectSettings detect;
  double target = 0;       ///< strength afterwards: 0 takes the LoRA out
  bool is_forced = false;  ///< write although the verdict speaks against it
  MergeSettings merge;     ///< how to write; its LoRAs do not count
};

struct Rebalance {
  Detection before, after;
  double weight = 0;  ///< of the LoRA in the merge: target - strength before
  MergeReport merge;
};

/// Throws InvalidRequest, unless forced, when the LoRA is not there and shall be taken out (that
/// would damage the model), when the LoRA is no difference (DoRA, GLoRA, OFT, ..., forced or not),
/// when the measure is too uncertain to act on, or when nothing is to do. Throws as detect() and
/// merge_into_file().
Rebalance rebalance(const std::filesystem::path& checkpoint, const RebalanceSettings& settings,
                    const std::filesystem::path& output, const Events& events);

}  // namespace fourstep
