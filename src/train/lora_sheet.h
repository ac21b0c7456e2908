#pragma once
// What a LoRA fine-tuning shows while it goes on: the same prompts without and with the LoRA.

#include <string>
#include <vector>

#include "base/events.h"
#include "io/image.h"
#include "train/lora_run.h"

namespace fourstep {

class LoraSheet {
 public:
  /// The prompts of the config's file (at most 8), else the first 4 different captions of the data.
  /// Throws Error when the file cannot be read.
  explicit LoraSheet(const LoraRun& run);

  /// Writes OUT/sheet-NNNNNN.png. One prompt at a time, for little memory; the row without the LoRA is made at the
  /// first call. Throws Cancelled.
  void write(LoraRun& run, int64_t iteration, const Events& events);

 private:
  std::vector<Tensor> pictures(LoraRun& run, Adapter* adapter, const Events& events) const;

  std::vector<std::string> prompts_;
  std::vector<Tensor> without_;  ///< uint8 [H,W,3]
};

}  // namespace fourstep
