#pragma once
// What names and metadata say of distillation: whether a LoRA is DMD2's, and how much of it lies in a checkpoint.

#include <cstdint>
#include <optional>
#include <string>

#include "io/file_metadata.h"

namespace fourstep {

bool mentions_dmd2(const std::string& text);

/// Whether a file's name is that of another distillation into few steps: Lightning, Hyper-SD, LCM, Turbo, TCD, PCM, Flash.
bool mentions_other_distillation(const std::string& file_name);

/// What tells which LoRA a file is.
struct LoraSigns {
  std::string file_name;
  Metadata metadata = {};
  size_t num_unet_modules = 0, num_text_modules = 0;
  int64_t rank = 0;
  double factor = 1;  ///< alpha / rank
};
/// DMD2's: "dmd2" in the file's name, its title or the names of the parts that it was made from, or the shape of the
/// public one: 788 UNet modules of rank 64 and factor 1/8 without text encoder.
bool looks_like_dmd2(const LoraSigns& lora);

/// The weight of DMD2 LoRAs in a checkpoint as its metadata tell: the sum over our merge recipes, also those of the
/// base, so that what was taken out again does not count; 1 where another text says "dmd2"; nothing where none does.
std::optional<double> merged_dmd2_weight(const Metadata& metadata);

}  // namespace fourstep
