#pragma once
// A whole distillation: from a checkpoint to a LoRA file (or a UNet file), resumable, with what
// people look at.

#include "base/events.h"
#include "distill/sources.h"

namespace fourstep {

/// What distill() learns from; asked for once, after the settings were checked, with config.out as
/// a folder that is there.
using SourcesOpener = std::function<DistillSources(const Events& events)>;

/// Distils `models` (fp32, or a half type as the frozen backbone of LoRAs) and writes
/// OUT/dmd2_Nstep_lora_fp32.safetensors and its fp16 twin (student lora) or
/// OUT/dmd2_Nstep_unet_fp16.safetensors (student full), beside the state, the log, sheets of
/// samples and report.html.
/// Throws as run_loop; InvalidRequest for settings that contradict each other or a model that is
/// not of eps kind.
void distill(Models& models, const DistillConfig& config, const SourcesOpener& open_sources,
             bool is_resumed, const Events& events);

}  // namespace fourstep
