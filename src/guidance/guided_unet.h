#pragma once
// The network with all prompts and all guidance of a run: what the samplers' Denoiser calls.

#include <vector>

#include "guidance/guidance_options.h"
#include "guidance/guidance_stages.h"
#include "nets/unet.h"

namespace fourstep {

/// What decides the estimates of a run beside network and prompts.
struct GuidanceSetup {
  GuidanceOptions options = {};
  double cfg_scale = 1;
  std::vector<double> sigmas;                  ///< of the run; they tell the step of a noise level
  NoiseSchedule schedule;                      ///< the model's
  TimestepOf timestep_of;                      ///< what the network is told
  NetworkOutput output = NetworkOutput::kEps;  ///< the network's
  /// In which rescale_cfg measures spreads: the network's own (diffusers), or v (ComfyUI).
  NetworkOutput rescaled_output = NetworkOutput::kV;
  bool sampler_needs_uncond = false;
  int64_t width = 1024, height = 1024;  ///< of the picture, in pixels, as the network is told
  UNetExtras extras = {};               ///< of every call; methods add theirs
};

/// One run: images that are sampled together. It counts its calls, and some methods remember
/// earlier steps, so the next images need restart(), or a new one.
class GuidedUNet : private NetworkCalls {
 public:
  /// stages, spans: what the network is shown at which call, of the rows that Prompts says.
  /// Throws InvalidRequest where an option names a layer that the UNet does not have.
  GuidedUNet(UNet unet, GuidanceSetup setup, std::vector<Prompts> stages,
             std::vector<StageSpan> spans);

  /// The guided estimate of x0. x: [B,4,h,w] fp32 or fp64; sigma: [B], one number for all, best on
  /// the CPU. Returns as x. Without guidance it is one network call on B rows, else one on 2B
  /// (uncond first) or, for contexts of different lengths, two; one more for each further part of
  /// "a AND b" and for what methods ask for.
  Tensor estimate(const Tensor& x, const Tensor& sigma);

  /// The estimate without the prompt that entered the last combination; undefined where there was
  /// none.
  const Tensor& last_uncond() const { return last_uncond_; }

  /// Forgets all calls.
  void restart();

 private:
  /// What one network call is for.
  struct Purpose {
    bool is_stages_pair = false;               ///< see CallRows::is_pairs_uncond
    const DegradedLayers* degraded = nullptr;  ///< null: none
  };

  Tensor degraded_cond(const GuidanceCall& call, const DegradedLayers& layers) override;
  Tensor uncond_at(const GuidanceCall& call, const Tensor& x) override;
  Tensor empty(const GuidanceCall& call) override;

  /// The estimate with the prompt, of all its parts.
  Tensor cond(const GuidanceCall& call, const Purpose& purpose);
  /// Both estimates, cond's of all parts.
  CondUncond pair(const GuidanceCall& call, const Purpose& purpose);
  CondUncond pair_of_first_part(const GuidanceCall& call, const Purpose& purpose);
  /// The estimate with one part of the prompt.
  Tensor part(const GuidanceCall& call, const Conditioning& cond, const Purpose& purpose);

  UNetExtras extras_of(const GuidanceCall& call, const CallRows& rows,
                       const Purpose& purpose) const;
  /// With as many rows as the batch, and told a size if it names none.
  Conditioning shown(const GuidanceCall& call, const Conditioning& cond,
                     const SizeOverSteps& told) const;
  /// One network call. x: [N,4,h,w], all at the call's noise level; N: the rows of `shown`.
  Tensor run(const GuidanceCall& call, const Tensor& x, const Conditioning& shown,
             const UNetExtras& extras);

  UNet unet_;
  GuidanceSetup setup_;
  std::vector<Prompts> stages_;
  std::vector<StageSpan> spans_;
  ToldSizes sizes_;
  GuidanceStages guidance_;
  int64_t next_call_ = 0;
  Tensor last_uncond_;
};

}  // namespace fourstep
