#pragma once
// Models under diffusers names -> the names and layout of a single-file checkpoint (ldm/sgm, with
// open_clip names for the second text encoder), as other programs read them.

#include <map>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "io/key_names.h"
#include "io/tensor_file.h"

namespace fourstep {

/// The row of key_names.h for every parameter of the components given (diffusers names). family: SD
/// 1.5 keeps its text encoder under another prefix.
/// Throws Error naming a parameter that has no single-file name.
std::vector<KeyRow> single_file_rows(const std::map<Component, NamedShapes>& components,
                                     Family family);

/// What to write as a single file: all components that the checkpoint has, contiguous (weights that
/// keep their layout are not copied), the marker tensors `v_pred` and `ztsnr`, the hints in the
/// metadata. The second text encoder gets the logit_scale that published files have (ln 100).
/// Throws as single_file_rows.
TensorFile single_file_of(const Checkpoint& checkpoint);

/// diffusers parameter name -> ldm parameter name without prefix
/// ("input_blocks.4.1.proj_in.weight") for a UNet given by its diffusers names. Names outside the
/// layout are left out.
std::map<std::string, std::string> ldm_unet_names(const NamedShapes& unet);

}  // namespace fourstep
