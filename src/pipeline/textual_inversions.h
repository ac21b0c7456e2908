#pragma once
// Textual inversions in folders and in LoRA files, for the prompts of a model.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "lora/lora_file.h"
#include "text/textual_inversion.h"

namespace fourstep {

struct InversionFiles {
  InversionTable table;
  std::vector<std::filesystem::path> paths;  ///< of the table's names; empty for those in LoRAs
  std::vector<std::string> notes;            ///< on names that are there twice
};

/// The embeddings bundled in a LoRA that is in use.
struct InversionBundle {
  std::filesystem::path lora;
  BundledEmbeddings embeddings;
};

/// The safetensors, .pt and .bin files in the folders and below, by their names; each is opened when a prompt first uses
/// it. widths: of the model's text encoders. A file for SDXL has the tensors clip_l and clip_g; of one with other
/// names (A1111, diffusers) the tensor of an encoder's width counts. bundles: as A1111 has it, an embedding in a folder
/// goes before one of the same name in a LoRA, and the first LoRA before the others.
/// Throws InvalidRequest for a folder that is not there; vectors() throws Error naming the file that cannot be read, has
/// nothing of the width, or more than 75 vectors.
InversionFiles open_inversions(const std::vector<std::string>& folders,
                               const std::vector<int64_t>& widths,
                               const std::vector<InversionBundle>& bundles = {});

}  // namespace fourstep
