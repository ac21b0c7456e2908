#pragma once
// A complete SDXL checkpoint, small enough for unit tests: random weights, a vocabulary of its own.

#include <filesystem>
#include <functional>

#include "io/checkpoint.h"
#include "nets/unet.h"
#include "text/conditioning.h"

namespace fourstep::testing {

/// The UNet of tiny_sdxl(), fp32. Two levels: latents of 8x8 have a middle of 4x4.
UNet tiny_unet();

/// Random context and pooled text for it.
Conditioning tiny_conditioning(int64_t count, uint64_t seed);

/// The networks under diffusers names. 128x128 px take a few milliseconds a step.
Checkpoint tiny_sdxl();

/// Writes tiny_sdxl() as a single file, after `change` had its way with it.
void write_tiny_sdxl(const std::filesystem::path& path,
                     const std::function<void(Checkpoint&)>& change = {});

constexpr int64_t kTinyTextWidth = 64, kTinyTextWidth2 = 128;  ///< of its text encoders

/// A textual inversion of two vectors for it.
void write_tiny_inversion(const std::filesystem::path& path);

/// A LoRA (kohya names, rank 2) for the attention of the tiny UNet's middle block.
void write_tiny_lora(const std::filesystem::path& path);

}  // namespace fourstep::testing
