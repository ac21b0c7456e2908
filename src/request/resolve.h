#pragma once
// A request with nothing left open: what sampling is told.

#include <optional>
#include <string>
#include <vector>

#include "base/events.h"
#include "base/image_noise.h"
#include "request/model_traits.h"
#include "request/request.h"
#include "request/resources.h"
#include "text/prompt_rules.h"

namespace fourstep {

struct ResolvedPrompt {
  std::string text, negative;
  PromptRules rules;
  bool old_prompt_schedules = false;
  std::vector<std::string> embedding_dir;
  int64_t clip_skip = 0;
  bool zero_empty_negative = false;  ///< an empty negative prompt becomes zeros, else it is encoded
};

struct ResolvedSampling {
  std::string sampler,
      schedule;  ///< names of rows; an explicit list has a schedule that is not used
  Dialect dialect = Dialect::kFourstep;
  int64_t steps = 0;
  std::vector<double> timesteps, sigmas;  ///< explicit lists; empty: by the schedule
  double cfg_scale = 1;
  double eta = 0, s_noise = 1, s_churn = 0;
  double rho = 7;
};

struct ResolvedRequest {
  ResolvedPrompt prompt;
  int64_t width = 0, height = 0;  ///< px, multiples of 8
  int64_t images = 1, batch = 1;
  ImageSeed seed;  ///< of the first image
  ResolvedSampling sampling;
  NetworkOutput output = NetworkOutput::kEps;
  bool zero_snr = false;
  int64_t vae_tile = 0;  ///< px; 0: whole
  GuidanceOptions guidance;
  HiresSettings hires;
  /// The request with names, steps, CFG scale, size, noise and seed filled in: it makes the same
  /// images wherever the same files are. For results and image metadata, which keep what was left
  /// to the dialect as it was asked.
  Request written;
};

/// px, multiples of 8: of the pictures, after all passes.
struct PictureSize {
  int64_t width = 0, height = 0;
};
PictureSize picture_size(const ResolvedRequest& request);

/// A random seed of 32 bits: as many as torch's CPU generator distinguishes, and short enough to
/// copy by hand.
uint64_t draw_seed();

/// The request with the `shipped` model and its LoRA where it names no model, and without LoRAs
/// named "none". Throws InvalidRequest when no model is named and none is shipped.
Request with_default_model(Request request, const std::optional<DefaultModel>& shipped);

/// Replaces every "auto" and unset value: distilled models get lcm, dmd2, 4 steps and CFG scale 1
/// (one step for the one-step model, named "...dmd2...1step..."); plain ones euler, karras, 30
/// steps and 6. The number of steps follows explicit timesteps or sigmas. Sizes are rounded to the
/// nearest multiple of 8, at least 64; a change is a notice. A missing seed is drawn. Notices also
/// say which words the model has never seen. Throws InvalidRequest for names that are unknown or
/// contradict each other, and for --steps that do not fit a list.
ResolvedRequest resolve(const Request& request, const ModelTraits& traits,
                        const Events& events = {});

/// The seed of each image, with its variations.
std::vector<ImageSeed> image_seeds(const ResolvedRequest& request);

}  // namespace fourstep
