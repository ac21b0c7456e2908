#pragma once
// The names of a tiny VAE's tensors (TAESD, TAESDXL): its own files number the entries of one chain, diffusers'
// AutoencoderTiny calls the same chains `encoder.layers` and `decoder.layers`.

#include "base/tensor.h"

namespace fourstep {

/// The tensors of a tiny VAE under diffusers' names; empty when `file` has no tiny decoder. Taken are
/// diffusers' files, decoder files of TAESD (`1.weight`, `3.conv.0.weight`, ...), and files of one or both
/// parts with the prefixes `taesd_decoder.` and `taesd_encoder.`.
/// Source: the decoder of TAESD begins with a function, which has a number there and none in diffusers.
NamedTensors tiny_vae_tensors(const NamedTensors& file);

}  // namespace fourstep
