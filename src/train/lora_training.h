#pragma once
// What a LoRA fine-tuning shows while it goes on: the same prompts without and with the LoRA.

#include <string>
#include <vector>

#include "base/events.h"
#include "io/image.h"
#include "pipeline/models.h"
#include "train/lora_config.h"
#include "train/lora_export.h"
#include "train/lora_run.h"

namespace fourstep {

class LoraSheet {
 public:
  /// The prompts of the config's file (at most 8), else the first 4 different captions of the data.
  /// Throws Error when the file cannot be read.
  explicit LoraSheet(const LoraRun& run);

  /// Writes OUT/sheet-NNNNNN.png. One prompt at a time, for little memory; the row without the LoRA
  /// is made at the first call. Throws Cancelled.
  void write(LoraRun& run, int64_t iteration, const Events& events);

 private:
  std::vector<Tensor> pictures(LoraRun& run, Adapter* adapter, const Events& events) const;

  std::vector<std::string> prompts_;
  std::vector<Tensor> without_;  ///< uint8 [H,W,3]
};

// Plain LoRA fine-tuning on a folder of pictures: from a checkpoint to a LoRA file, resumable.

/// Trains a LoRA on the UNet of `models` (fp32, or frozen in a half type; made with
/// Placement::is_trained) and writes OUT/lora_fp32.safetensors and OUT/lora_fp16.safetensors,
/// beside latents, state, log and sheets of samples. Each iteration depends on the settings, the
/// data and its number: a run that was killed and resumed ends with the same bytes on the CPU. A
/// state made with other settings or other data is refused.
/// Throws as make_lora_run and run_loop.
void train_lora(Models& models, const LoraTrainConfig& config, bool is_resumed,
                const Events& events);

/// What kohya's trainers write about a run, as far as it exists here; other programs show tags and
/// settings by it.
Metadata lora_run_metadata(const LoraRun& run);

}  // namespace fourstep
