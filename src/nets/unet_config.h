#pragma once
// The architecture of an SDXL-like UNet, read from the shapes of its weights.

#include <cstdint>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace fourstep {

/// One level of the UNet (a resolution). Levels are listed from the full latent resolution down.
struct UNetLevel {
  int64_t channels = 320;
  int64_t heads = 5;                ///< attention heads; head width is channels / heads
  std::vector<int64_t> down_depth;  ///< one entry per resnet of the down path: transformer blocks
                                    ///< after it; 0: no attention
  std::vector<int64_t> up_depth;  ///< the same for the up path, in execution order; one entry more
};

struct UNetConfig {
  int64_t in_channels = 4, out_channels = 4;
  std::vector<UNetLevel> levels;
  bool has_mid_block = true;
  int64_t mid_depth =
      10;  ///< transformer blocks in the middle; 0: one resnet and no attention there
           ///< (SSD-1B, Segmind-Vega)
  int64_t cross_width = 2048;  ///< width of the text context
  int64_t time_width = 1280;   ///< width of the time embedding
  int64_t added_width = 2816;  ///< pooled text width + the six embedded sizes; 0: none (SD 1.5)
  bool has_linear_projection = true;  ///< false: proj_in/proj_out are 1x1 convolutions (SD 1.5)
};

/// shapes: of all UNet weights, diffusers names. heads: per level (or one for all) where the source
/// says it (a diffusers config), else empty: head width 64 (one head below that width), or 8 heads
/// per level for SD 1.x layouts (no added condition), as the published models have it.
/// Throws Error naming `what` and the first weight that does not fit the layout.
UNetConfig unet_config_from_shapes(const NamedShapes& shapes, const std::vector<int64_t>& heads,
                                   const std::string& what);

}  // namespace fourstep
