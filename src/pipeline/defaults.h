#pragma once
// The settings that a request leaves to the model's kind.

#include <optional>
#include <string>
#include <vector>

#include "base/events.h"
#include "pipeline/request.h"
#include "pipeline/resources.h"
#include "sampling/noise_schedule.h"

namespace fourstep {

/// How many steps a model was made for.
enum class ModelKind {
  kPlain,     ///< not distilled: many steps with guidance
  kDistilled  ///< DMD2 in four steps without guidance
};

/// A LoRA in use, as far as its kind matters.
struct LoraTraits {
  std::string file_name;
  StepWeights unet_weight = {};
  double text_weight = 1;
  bool is_dmd2 = false;  ///< see looks_like_dmd2()
  bool has_text_part = true;
};

/// What is known of a model before it is loaded.
struct ModelTraits {
  std::string file_name;                   ///< of the checkpoint
  std::optional<double> merged_dmd2 = {};  ///< see merged_dmd2_weight()
  int64_t native_side = 1024;              ///< px: SDXL 1024, SD 1.5 512
  std::string known_words =
      {};  ///< all that its captions had, see unknown_words(); empty: not told
  std::vector<LoraTraits> loras = {};
};

/// How much of DMD2 the checkpoint has by its metadata, else 1 where its name says "dmd2"; and that with the LoRAs of the
/// request, each where it is strongest.
double merged_dmd2(const ModelTraits& traits);
double dmd2_in_all(const ModelTraits& traits);

/// kDistilled for a DMD2 LoRA in the request, or a checkpoint with a quarter of it or more; but kPlain
/// again where DMD2 LoRAs of negative weight take half of it or more out of such a checkpoint.
ModelKind kind_of(const ModelTraits& traits);

/// How many steps a distilled model was made for: 4, or 1 where its name says "1step".
int64_t distilled_steps(const ModelTraits& traits);

/// The noise levels that a distilled model was trained at: timesteps 999, 749, 499, 249, or 399 of the one-step
/// model.
std::vector<double> trained_sigmas(const ModelTraits& traits, const NoiseSchedule& schedule);

/// A random seed of 32 bits: as many as torch's CPU generator distinguishes, and short enough to copy by hand.
uint64_t draw_seed();

/// The request with the `shipped` model and its LoRA where it names no model, and without LoRAs named
/// "none". Throws InvalidRequest when no model is named and none is shipped.
Request with_default_model(Request request, const std::optional<DefaultModel>& shipped);

/// The request with every "auto" and unset value replaced: distilled models get lcm, dmd2, 4 steps and CFG
/// scale 1 (one step for the one-step model, named "...dmd2...1step..."); plain ones euler, karras, 30
/// steps and 6. The number of steps follows explicit timesteps or sigmas. Sizes are rounded to the nearest
/// multiple of 8, at least 64; a change is a notice. A missing seed is drawn.
/// Notices also say which words the model has never seen.
Request resolve_defaults(Request request, const ModelTraits& traits, const Events& events);

}  // namespace fourstep
