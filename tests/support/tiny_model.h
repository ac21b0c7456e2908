#pragma once
// A complete SDXL checkpoint, small enough for unit tests: random weights, a vocabulary of its own.

#include <filesystem>
#include <functional>

#include "io/checkpoint.h"

namespace fourstep::testing {

/// The networks under diffusers names. 128x128 px take a few milliseconds a step.
Checkpoint tiny_sdxl();

/// Writes tiny_sdxl() as a single file, after `change` had its way with it.
void write_tiny_sdxl(const std::filesystem::path& path,
                     const std::function<void(Checkpoint&)>& change = {});

/// A LoRA (kohya names, rank 2) for the attention of the tiny UNet's middle block.
void write_tiny_lora(const std::filesystem::path& path);

}  // namespace fourstep::testing
