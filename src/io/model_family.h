#pragma once
// What a file of named tensors is: one of the families that can be sampled, or something else that
// people pass by mistake, which is named. Decided from names and shapes alone, by structure rather
// than by the published widths, so that small models of the same layouts are recognised too.

#include <optional>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace fourstep {

/// Architecture families that can be sampled; widths and depths come from the shapes, not from the
/// family.
enum class Family { kSdxl, kSsd1b, kVega, kSd15 };
enum class Component { kUnet, kVae, kTextEncoder, kTextEncoder2 };
enum class Prediction { kEps, kV };

/// "SDXL", "SSD-1B", "Segmind-Vega", "SD 1.5".
const char* to_string(Family family);
/// diffusers' folder names: "unet", "vae", "text_encoder", "text_encoder_2".
const char* to_string(Component component);
/// "epsilon", "v_prediction": diffusers' words.
const char* to_string(Prediction prediction);

/// All components in the order above.
const std::vector<Component>& all_components();
/// Those that a complete model of the family has (SD 1.5 lacks the second text encoder).
std::vector<Component> components_of(Family family);

/// The architecture of a UNet as its shapes show it. 0 or empty: the weight in question is absent.
struct UNetFacts {
  int64_t in_channels = 0, out_channels = 0;
  std::vector<int64_t> channels;  ///< per level, from the full resolution down
  std::vector<std::vector<int64_t>> down_depth,
      up_depth;  ///< transformer blocks after each resnet, in
                 ///< execution order (up: deepest level first)
  int64_t mid_resnets = 0, mid_depth = 0;
  int64_t cross_width = 0;  ///< width of the text context
  int64_t time_width = 0;   ///< width of the time embedding
  int64_t added_width = 0;  ///< input of the added embedding (pooled text and sizes); 0: SD 1.x
  bool has_linear_projection = false;  ///< proj_in is a Linear; false: a 1x1 convolution
};

/// unet: shapes under diffusers names; may be incomplete. Never throws.
UNetFacts unet_facts(const NamedShapes& unet);

/// The verdict on a file.
struct Recognition {
  std::optional<Family> family;  ///< nothing: cannot be sampled
  std::string name;              ///< "SDXL", "SDXL refiner", "LoRA", ...: what it is, for messages
  std::string advice;            ///< what to do with a file that cannot be sampled; else empty
};

/// Whether nothing is known about the file: neither a family nor what else it is.
bool is_unknown(const Recognition& recognition);

/// file: all tensors under the names of the file. unet: its UNet under diffusers names, empty when
/// it has none. Never throws; the rest gets the name "file of unknown content".
Recognition recognise(const NamedShapes& file, const NamedShapes& unet);

}  // namespace fourstep
