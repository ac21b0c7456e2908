#pragma once
// One CLIP text encoder from a file or folder of its own. Layouts: transformers (with or without "text_model.", with or
// without the image half), open_clip ("transformer.resblocks."), each under any prefix, as ComfyUI's clip_l and clip_g files,
// whole checkpoints and files of several encoders have them.

#include <filesystem>
#include <optional>
#include <string>

#include "io/architecture_hints.h"
#include "io/model_family.h"

namespace fourstep {

struct TextEncoderFile {
  NamedTensors weights;     ///< transformers' names
  ArchitectureHints hints;  ///< the text_* fields of this encoder only
  std::string merges_text;  ///< vocabulary in the file; else empty
  std::optional<std::filesystem::path> tokenizer_folder;  ///< beside a folder; has merges.txt
};

/// component: which encoder is wanted; of a file that holds two, the first is the narrower one. path: a file, a shard, a
/// folder with config.json and weights, or a diffusers folder.
/// Throws Error naming what the path holds when it is no CLIP text encoder.
TextEncoderFile open_text_encoder(const std::filesystem::path& path, Component component);

/// Width of the token embedding in a file of any layout; of several the narrowest; 0 when there is none.
int64_t text_encoder_width(const NamedShapes& file);

/// "CLIP ViT-L/14 (width 768)", "OpenCLIP ViT-bigG/14 (width 1280)", "text encoder of width 64".
std::string text_encoder_name(int64_t width);

}  // namespace fourstep
