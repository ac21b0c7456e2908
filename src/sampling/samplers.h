#pragma once
// The table of samplers: names, what they need, and the one function that runs any of them.

#include <span>
#include <string_view>

#include "base/tensor.h"
#include "sampling/sampler.h"

namespace fourstep {

/// x: [B,4,h,w] fp32 at run.sigmas[0]. Returns [B,4,h,w] at run.sigmas.back().
/// Throws Error when it needs noise or the estimate without prompt and the run has none.
using SamplerFunction = Tensor (*)(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// The noise that a sampler draws between steps.
enum class NoiseKind {
  kNone,
  kFresh,     ///< one independent tensor after the other
  kBrownian,  ///< increments of one Brownian path, so that the result hardly depends on the steps
};

/// What a sampler asks of its surroundings beyond the list of noise levels.
struct SamplerNeeds {
  NoiseKind noise = NoiseKind::kNone;
  int calls_per_step = 1;  ///< of the network; the step to sigma 0 takes one
  bool uncond = false;     ///< the estimate without the prompt at any CFG scale
};

/// What other programs call a sampler, as far as they mean the same algorithm (names.h). Several names are separated by
/// ';', and NAME>SCHEDULE is a name that fixes the schedule too.
struct SamplerNames {
  std::string_view a1111 = {};      ///< one label, of A1111 and Forge; it is written into images
  std::string_view diffusers = {};  ///< classes at their default settings
  std::string_view others = {};     ///< of ComfyUI, InvokeAI, SD.Next, sd.cpp and Draw Things
  std::string_view automatic = "normal";  ///< the schedule of A1111's "Automatic"
};

struct SamplerRow {
  std::string_view name;
  SamplerFunction function;
  SamplerNeeds needs;
  SamplerSettings defaults;
  std::string_view help;  ///< one line for lists of choices
  SamplerNames names = {};

  bool is_stochastic() const { return needs.noise != NoiseKind::kNone && defaults.eta > 0; }
};

/// All samplers, in the order in which to show them.
std::span<const SamplerRow> sampler_rows();

/// The sampler `name`, in any spelling that sampler_name() in names.h knows. Throws InvalidRequest when it is unknown,
/// naming the nearest three, or when another program means an algorithm by it that is not here.
const SamplerRow& find_sampler(std::string_view name);

/// Runs a sampler; run.settings are used as they are. Throws Error when the list of noise levels does not
/// fall, or is negative or not finite.
Tensor sample(const SamplerRow& sampler, const SamplerRun& run, Tensor x,
              const OnStep& on_step = {});

}  // namespace fourstep
