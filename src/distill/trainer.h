#pragma once
// A whole distillation: from a checkpoint to a LoRA file (or a UNet file), resumable, with what people look at.

#include "base/events.h"
#include "distill/config.h"
#include "pipeline/models.h"

namespace fourstep {

/// Distils `models` (fp32, or a half type as the frozen backbone of LoRAs) and writes OUT/dmd2_Nstep_lora_fp32.safetensors
/// and its fp16 twin (student lora) or OUT/dmd2_Nstep_unet_fp16.safetensors (student full), beside the state, the log,
/// sheets of samples and report.html.
/// Throws as run_loop; InvalidRequest for settings that contradict each other or a model that is not of eps kind.
void distill(Models& models, const DistillConfig& config, bool is_resumed, const Events& events);

}  // namespace fourstep
