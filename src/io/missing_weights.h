#pragma once
// Which weights a network lacks. What it should have is told by what is there: a UNet that has three levels on the way down
// has three on the way up, a layer has all parts of a layer, and encoders of a published width have the published depth.

#include <string>
#include <vector>

#include "base/tensor.h"
#include "io/model_family.h"

namespace fourstep {

/// Names under diffusers' convention, in the order in which the network uses them; empty when it is whole.
/// shapes: of one component, diffusers names. A VAE may be a decoder alone (its encoder is then not missed), and one without
/// quant_conv and post_quant_conv is whole. The second text encoder must have its text_projection.
std::vector<std::string> missing_weights(Component component, const NamedShapes& shapes);

/// Whether a VAE's weights can turn latents into images only.
bool is_decoder_only(const NamedShapes& vae);

}  // namespace fourstep
