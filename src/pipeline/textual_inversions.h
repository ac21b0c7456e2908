#pragma once
// Textual inversions in folders, for the prompts of a model.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "text/textual_inversion.h"

namespace fourstep {

struct InversionFiles {
  InversionTable table;
  std::vector<std::filesystem::path> paths;  ///< of the table's names
};

/// The safetensors, .pt and .bin files in the folders and below, by their names; each is opened when a prompt first uses
/// it. widths: of the model's text encoders. A file for SDXL has the tensors clip_l and clip_g; of one with other
/// names (A1111, diffusers) the tensor of an encoder's width counts.
/// Throws InvalidRequest for a folder that is not there; vectors() throws Error naming the file that cannot be read, has
/// nothing of the width, or more than 75 vectors.
InversionFiles open_inversions(const std::vector<std::string>& folders,
                               const std::vector<int64_t>& widths);

}  // namespace fourstep
