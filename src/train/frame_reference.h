#pragma once
// First weights that let a narrow network speak of brightness and colour.
//
// SDXL's layout has 32 groups in every group norm. With 320 channels a group has ten of them; with 64 it has two, and
// a norm over two channels all but erases their mean: the last norm of a narrow decoder would have to find a detour
// for the colour of a plain background, which takes thousands of steps. What a norm leaves alone is a value relative
// to something else in its group. So one channel per group starts as that something: a frame of fixed strength along
// the border, which a convolution draws by itself where zero padding meets a constant.

#include <string>
#include <vector>

#include "base/tensor.h"

namespace fourstep {

/// Where the frame is drawn. Names are parameter names without ".weight".
struct FramePlace {
  std::string last_resnet;           ///< its second convolution draws the frame
  std::vector<std::string> writers;  ///< all other layers that add to the same map
  std::string conv_out;              ///< what reads the map behind the norm
  int64_t side = 0;                  ///< of the map
};

/// Changes the weights in place, so that the last channel of each of the 32 groups of the map holds the frame alone,
/// with a variance of 3 over the map, and conv_out does not look at it. All of it is trained on afterwards.
/// Nothing is changed where a group has one channel (there is no room) or more than four (there is no need).
/// Throws Error when a layer is missing.
void add_frame_reference(const NamedTensors& parameters, const FramePlace& place);

}  // namespace fourstep
