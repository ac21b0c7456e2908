#pragma once
// What a request's prompts become; the same for all its seeds and sizes.

#include <optional>

#include "text/conditioning.h"

namespace fourstep {

struct Prompts {
  Conditioning cond;
  std::optional<Conditioning> uncond;  ///< absent where nothing needs it
  std::optional<Conditioning> nag;     ///< what NAG leads away from; absent without NAG
  std::optional<Conditioning> empty;   ///< of the empty prompt; absent without Perp-Neg
};

}  // namespace fourstep
