#include "pipeline/guidance_stages.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "sampling/guidance_direction.h"
#include "sampling/guidance_dynthresh.h"
#include "sampling/guidance_fooocus.h"
#include "sampling/guidance_rescale.h"
#include "sampling/guidance_sag.h"
#include "sampling/guidance_skimmed.h"

namespace fourstep {

namespace {

/// The pipeline as it grows.
struct Builder {
  const GuidanceRun& run;
  const StageCalls& calls;
  GuidancePipeline pipeline;

  bool is_on(const char* name) const { return is_method_on(run.options, name); }
  SigmaInterval interval(const char* name) const {
    return sigma_interval(run.options, run.schedule, name);
  }
  /// Adds a stage where the method is on.
  template <typename Function>
  void before(const char* name, Function stage) {
    if (is_on(name))
      pipeline.before.push_back({name, StageNeed::kCfg, std::move(stage), interval(name)});
  }
  template <typename Function>
  void combine(const char* name, Function stage) {
    if (is_on(name))
      pipeline.combine = CombineStage{name, StageNeed::kCfg, std::move(stage), interval(name)};
  }
  template <typename Function>
  void after(const char* name, StageNeed need, Function stage) {
    if (is_on(name)) pipeline.after.push_back({name, need, std::move(stage), interval(name)});
  }
};

/// 0 at the highest noise level, 1 at the lowest: Fooocus's and dynamic thresholding's clock.
using Progress = std::function<double(const GuidanceCall&)>;

Progress progress_over(const NoiseSchedule& schedule, double num_steps) {
  return [schedule, num_steps](const GuidanceCall& call) {
    return (schedule.last_timestep() - nearest_timestep(schedule, call.level)) / num_steps;
  };
}

SkimOptions skim_options(const GuidanceRun& run) {
  const GuidanceOptions& o = run.options;
  return {.mode = skim_mode_from_name(o.skimmed_cfg),
          .scale = o.skim_scale,
          .negative_scale = o.skim_negative_scale,
          .is_negative_skimmed = o.skim_full_negative,
          .has_flip_filter = !o.skim_without_filter,
          .distance = skim_distance_from_name(o.skim_distance),
          .flip_sigma = sigma_from_percent(run.schedule, o.skim_flip_at),
          .is_flip_reversed = o.skim_flip_reverse};
}

/// A new image starts above the level at which the last one ended, as does ComfyUI's memory.
Tensor remembered_apg_cond(const GuidanceCall& call, const CondUncond& pair,
                           const ApgOptions& options, ApgMemory& memory) {
  if (call.level > memory.level) memory.running = Tensor();
  memory.level = call.level;
  return apg_cond(pair, call.cfg_scale, options, memory.running);
}

void add_pair_stages(Builder& b) {
  const GuidanceOptions& o = b.run.options;
  b.before("sharpness", [sharpness = o.sharpness, progress = progress_over(b.run.schedule, 999)](
                            const GuidanceCall& call, const CondUncond& pair) {
    return CondUncond{sharpened_cond(call.x, pair.cond, sharpness, progress(call)), pair.uncond};
  });
  if (b.is_on("skimmed_cfg")) {
    b.before("skimmed_cfg",
             [options = skim_options(b.run)](const GuidanceCall& call, const CondUncond& pair) {
               return skimmed(call.x, call.level, pair, call.cfg_scale, options);
             });
  }
  b.before("tcfg", [](const GuidanceCall& call, const CondUncond& pair) {
    return CondUncond{pair.cond, tcfg_uncond(call.x, pair)};
  });
  const FrequencyFactors factors{o.fresca_low, o.fresca_high, o.fresca_cutoff};
  b.before("fresca", [factors](const GuidanceCall&, const CondUncond& pair) {
    return CondUncond{fresca_cond(pair, factors), pair.uncond};
  });
  const ApgOptions apg{o.apg_eta, o.apg_threshold, o.apg_momentum};
  b.before("apg",
           [apg, memory = b.run.apg_memory](const GuidanceCall& call, const CondUncond& pair) {
             return CondUncond{remembered_apg_cond(call, pair, apg, *memory), pair.uncond};
           });
}

DynthreshOptions dynthresh_options(const GuidanceOptions& o) {
  return {.mimic_scale = o.dynthresh_mimic,
          .percentile = o.dynthresh_percentile,
          .is_per_channel = !o.dynthresh_global,
          .is_from_mean = !o.dynthresh_from_zero,
          .is_by_std = o.dynthresh_std,
          .phi = o.dynthresh_phi};
}

void add_dynthresh(Builder& b) {
  const GuidanceOptions& o = b.run.options;
  const ScaleCurve mimic{o.dynthresh_mimic_curve, o.dynthresh_mimic_min, o.dynthresh_curve_value};
  const ScaleCurve cfg{o.dynthresh_cfg_curve, o.dynthresh_cfg_min, o.dynthresh_curve_value};
  // The extension counts 999 steps from 0, of which the last has progress 1.
  const Progress progress = progress_over(b.run.schedule, 998);
  b.combine("dynthresh", [options = dynthresh_options(o), mimic, cfg, progress](
                             const GuidanceCall& call, const CondUncond& pair) {
    DynthreshOptions now = options;
    now.mimic_scale = scale_at(mimic, options.mimic_scale, progress(call));
    return combine_dynthresh(pair, scale_at(cfg, call.cfg_scale, progress(call)), now);
  });
}

void add_combination(Builder& b) {
  const GuidanceOptions& o = b.run.options;
  b.combine("rescale_cfg", [share = o.rescale_cfg, output = b.run.output](const GuidanceCall& call,
                                                                          const CondUncond& pair) {
    return combine_rescaled(call.x, call.level, pair, call.cfg_scale, share, output);
  });
  add_dynthresh(b);
  b.combine("perp_neg", [weight = o.perp_neg, empty = b.calls.empty](const GuidanceCall& call,
                                                                     const CondUncond& pair) {
    return combine_perp_neg(pair, empty(call.x, call.sigma), call.cfg_scale, weight);
  });
  b.combine("adaptive_cfg", [limit = o.adaptive_cfg, progress = progress_over(b.run.schedule, 999)](
                                const GuidanceCall& call, const CondUncond& pair) {
    return combine_adaptive(pair, call.cfg_scale, limit, progress(call));
  });
}

void add_corrections(Builder& b) {
  b.after("cfg_zero_star", StageNeed::kCfg,
          [](const GuidanceCall& call, const CondUncond& pair, const Tensor& denoised) {
            return cfg_zero_star(call.x, pair, denoised, call.cfg_scale);
          });
  b.after("cfg_norm", StageNeed::kCfg,
          [strength = b.run.options.cfg_norm](const GuidanceCall&, const CondUncond& pair,
                                              const Tensor& denoised) {
            return cfg_norm(pair.cond, denoised, strength);
          });
  b.after("mahiro", StageNeed::kCfg,
          [](const GuidanceCall& call, const CondUncond& pair, const Tensor& denoised) {
            return mahiro(pair, denoised, call.cfg_scale);
          });
}

void add_degraded(Builder& b, const char* name, double scale, DegradedLayers layers) {
  b.after(name, StageNeed::kNothing,
          [scale, layers = std::move(layers), estimate = b.calls.degraded_cond](
              const GuidanceCall& call, const CondUncond& pair, const Tensor& denoised) {
            return guide_from_degraded(denoised, pair.cond, estimate(call.x, call.sigma, layers),
                                       scale);
          });
}

struct SagOptions {
  double scale, sigma, threshold;
};

/// Source: Hong et al. 2022 (2210.00939), algorithm 1, with uncond's own attention as in ComfyUI.
Tensor sag(const GuidanceCall& call, const CondUncond& pair, const Tensor& denoised,
           const SagOptions& options, const StageCalls& calls) {
  constexpr int64_t kSmallestSide = 4;
  if (std::min(call.x.size(2), call.x.size(3)) <= kSmallestSide) return denoised;
  const AttentionMap& map = *calls.middle_attention;
  const Tensor of_uncond = map.probabilities.narrow(0, 0, call.x.size(0));
  const Tensor mask =
      attended_positions(of_uncond, options.threshold).view({-1, map.height, map.width});
  const Tensor blurred = blur_attended(pair.uncond, mask, options.sigma);
  const Tensor degraded = calls.uncond(call.x + (blurred - pair.uncond), call.sigma);
  return guide_from_degraded(denoised, blurred, degraded, options.scale);
}

void add_attention_stages(Builder& b) {
  const GuidanceOptions& o = b.run.options;
  add_degraded(b, "pag", o.pag_scale, pag_layers(o));
  add_degraded(b, "seg", o.seg_scale, seg_layers(o));
  add_degraded(b, "slg", o.slg_scale, slg_layers(o));
  const SagOptions options{o.sag_scale, o.sag_sigma, o.sag_threshold};
  b.after("sag", StageNeed::kUncond,
          [options, calls = b.calls](const GuidanceCall& call, const CondUncond& pair,
                                     const Tensor& denoised) {
            return sag(call, pair, denoised, options, calls);
          });
}

void add_latent_stages(Builder& b) {
  const GuidanceOptions& o = b.run.options;
  b.after("epsilon_scaling", StageNeed::kNothing,
          [factor = o.epsilon_scaling](const GuidanceCall& call, const CondUncond&,
                                       const Tensor& denoised) {
            return scale_epsilon(call.x, denoised, factor);
          });
  const DiffusionCgOptions cg{o.cg_recenter, o.cg_normalization};
  b.after("diffusion_cg", StageNeed::kNothing,
          [cg](const GuidanceCall& call, const CondUncond&, const Tensor& denoised) {
            return diffusion_cg(denoised, call.position, cg);
          });
  VectorscopeOptions color{o.brightness, o.contrast,     o.saturation,
                           {},           o.color_method, o.color_scaling};
  std::copy(o.color_shift.begin(), o.color_shift.end(), color.rgb.begin());
  b.after("vectorscope", StageNeed::kNothing,
          [color](const GuidanceCall& call, const CondUncond&, const Tensor& denoised) {
            return vectorscope(denoised, call.x, call.position, color);
          });
}

}  // namespace

GuidancePipeline make_guidance_pipeline(const GuidanceRun& run, const StageCalls& calls) {
  const GuidanceOptions& options = run.options;
  Builder builder{run, calls, {}};
  GuidancePipeline& pipeline = builder.pipeline;
  pipeline.sigmas = run.sigmas;
  pipeline.scales = options.cfg_steps;
  if (pipeline.scales.empty()) pipeline.scales = {run.cfg_scale};
  pipeline.cfg_interval = builder.interval("cfg");
  pipeline.needs_uncond = run.needs_uncond;
  add_pair_stages(builder);
  add_combination(builder);
  add_corrections(builder);
  add_attention_stages(builder);
  add_latent_stages(builder);
  return pipeline;
}

SigmaInterval sigma_interval(const GuidanceOptions& options, const NoiseSchedule& schedule,
                             std::string_view method) {
  const PercentInterval percent = interval_of(options, method);
  return {sigma_from_percent(schedule, percent.start), sigma_from_percent(schedule, percent.end)};
}

bool needs_uncond(const GuidanceOptions& options, double cfg_scale, bool sampler_needs_it) {
  return sampler_needs_it || !is_cfg_off(options, cfg_scale) || is_method_on(options, "sag");
}

void check_guided_layers(const GuidanceOptions& options, const UNetConfig& config) {
  const auto check = [&](const char* method, const char* flag, const DegradedLayers& degraded) {
    if (is_method_on(options, method)) check_layers(flag, degraded.layers, config);
  };
  check("pag", "--pag-layers", pag_layers(options));
  check("seg", "--seg-layers", seg_layers(options));
  check("slg", "--slg-layers", slg_layers(options));
  if (is_method_on(options, "sag")) check_layers("--sag-scale", {"mid"}, config);
}

DegradedLayers pag_layers(const GuidanceOptions& options) {
  return {Degradation::kIdentityAttention, split_text(options.pag_layers, ','), 0};
}

DegradedLayers seg_layers(const GuidanceOptions& options) {
  return {Degradation::kBlurredQuery, split_text(options.seg_layers, ','), options.seg_sigma};
}

DegradedLayers slg_layers(const GuidanceOptions& options) {
  return {Degradation::kSkipped, split_text(options.slg_layers, ','), 0};
}

}  // namespace fourstep
