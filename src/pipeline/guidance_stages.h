#pragma once
// From the options of a request to the stages of guidance and the hooks in the UNet.

#include <memory>

#include "guidance/guidance_options.h"
#include "nets/unet_extras.h"
#include "sampling/guidance_pipeline.h"
#include "sampling/noise_schedule.h"
#include "sampling/parameterization.h"

namespace fourstep {

/// What stages may ask of the network beyond the pair of estimates. The functions must outlive the pipeline's use.
struct StageCalls {
  std::function<Tensor(const Tensor& x, const Tensor& sigma, const DegradedLayers& layers)>
      degraded_cond;
  Denoiser uncond, empty;
  const AttentionMap* middle_attention = nullptr;  ///< of uncond, of the latest pair; for SAG
};

/// What APG remembers of earlier calls. One image has one, whatever its prompts become over the steps.
struct ApgMemory {
  Tensor running;
  double level = 0;  ///< of the last call
};

/// What decides how options act on one run.
struct GuidanceRun {
  const GuidanceOptions& options;
  double cfg_scale = 1;
  const std::vector<double>& sigmas;
  const NoiseSchedule& schedule;
  NetworkOutput output = NetworkOutput::kEps;  ///< in which rescale_cfg measures spreads
  bool needs_uncond = false;                   ///< the sampler does
  std::shared_ptr<ApgMemory> apg_memory = std::make_shared<ApgMemory>();
};

/// The stages for one image: some remember earlier steps, so the next image needs its own.
GuidancePipeline make_guidance_pipeline(const GuidanceRun& run, const StageCalls& calls);

/// The noise levels at which a method acts, by guidance_intervals.
SigmaInterval sigma_interval(const GuidanceOptions& options, const NoiseSchedule& schedule,
                             std::string_view method);

/// Whether uncond is needed at any step.
bool needs_uncond(const GuidanceOptions& options, double cfg_scale, bool sampler_needs_it);

/// Throws InvalidRequest where an option names a layer that the UNet does not have.
void check_guided_layers(const GuidanceOptions& options, const UNetConfig& config);

/// The three ways to make an estimate worse.
DegradedLayers pag_layers(const GuidanceOptions& options);
DegradedLayers seg_layers(const GuidanceOptions& options);
DegradedLayers slg_layers(const GuidanceOptions& options);

}  // namespace fourstep
