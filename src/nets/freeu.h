#pragma once
// FreeU: stronger backbone and weaker low frequencies of the skips in the first two levels of the up path.
// Source: Si et al. 2023 (2309.11497); version 2 as in the authors' later code.

#include "base/tensor.h"

namespace fourstep {

struct FreeUOptions {
  double b1 = 1.3,
         b2 = 1.4;  ///< factor on half the backbone's channels where it is 4 and 2 times as
                    ///< wide as the UNet's first level
  double s1 = 0.9, s2 = 0.2;  ///< factor on the skips' lowest frequencies there
  bool is_version_2 =
      true;  ///< the factor follows the backbone's mean over channels, position by position
};

/// What the up path concatenates.
struct BackboneAndSkip {
  Tensor backbone, skip;  ///< [B,C,h,w], [B,D,h,w]
};

/// model_channels: width of the UNet's first level (320). Other widths of the backbone are left alone.
BackboneAndSkip apply_freeu(const BackboneAndSkip& input, const FreeUOptions& options,
                            int64_t model_channels);

}  // namespace fourstep
