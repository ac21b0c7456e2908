#pragma once
// Names of modules in the two layouts that SDXL-like models come in: "ldm" (the single files of
// latent-diffusion and sgm; open_clip for the second text encoder) and diffusers/transformers. The
// tables are made from the layout of the model at hand (levels, resnets per level, where attention
// and resampling sit), so nothing depends on the published sizes.
// Source of the correspondence: the conversion code of diffusers, ComfyUI and sd-scripts.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace fourstep {

/// Module (or whole parameter) name in one layout -> name in the other. What stands below a listed
/// name is equal in both.
using ModuleNames = std::map<std::string, std::string>;

/// Swaps the two sides.
ModuleNames inverted(const ModuleNames& names);
/// `name` with its longest listed prefix (ending at a dot or at the end) replaced; nothing when
/// none is listed.
std::optional<std::string> renamed(const ModuleNames& names, const std::string& name);

/// Whether some name begins with `prefix`.
bool has_prefix(const NamedShapes& shapes, const std::string& prefix);
/// The smallest n for which no name begins with "<stem><n>.".
int64_t count_numbered(const NamedShapes& shapes, const std::string& stem);

/// Where a UNet has resnets, transformers and resamplers.
struct UNetLayout {
  struct Level {
    std::vector<int64_t>
        depth;  ///< per resnet: transformer blocks that follow it; 0: no transformer
    bool is_resampled = false;  ///< ends in a downsampler or an upsampler
  };
  std::vector<Level> down, up;  ///< in execution order
  std::vector<int64_t>
      mid;  ///< per module, in order: -1 a resnet, else a transformer of this many blocks
};

UNetLayout unet_layout_from_ldm(const NamedShapes& unet);
UNetLayout unet_layout_from_diffusers(const NamedShapes& unet);
/// ldm -> diffusers for the whole UNet.
ModuleNames unet_modules(const UNetLayout& layout);

/// Resnets per level of an autoencoder, from the full resolution down; the two halves may differ,
/// or one may be absent.
struct VaeLayout {
  std::vector<int64_t> encoder, decoder;
};

VaeLayout vae_layout_from_ldm(const NamedShapes& vae);
VaeLayout vae_layout_from_diffusers(const NamedShapes& vae);
/// ldm -> diffusers for the whole autoencoder.
ModuleNames vae_modules(const VaeLayout& layout);

/// open_clip -> transformers for a text encoder of `layers` layers; attn.in_proj_* (three matrices
/// in one) and text_projection (transposed) are not in the table.
ModuleNames open_clip_modules(int64_t layers);

// The names of a tiny VAE's tensors (TAESD, TAESDXL): its own files number the entries of one
// chain, diffusers' AutoencoderTiny calls the same chains `encoder.layers` and `decoder.layers`.

/// The tensors of a tiny VAE under diffusers' names; empty when `file` has no tiny decoder. Taken
/// are diffusers' files, decoder files of TAESD (`1.weight`, `3.conv.0.weight`, ...), and files of
/// one or both parts with the prefixes `taesd_decoder.` and `taesd_encoder.`.
/// Source: the decoder of TAESD begins with a function, which has a number there and none in
/// diffusers.
NamedTensors tiny_vae_tensors(const NamedTensors& file);

}  // namespace fourstep
