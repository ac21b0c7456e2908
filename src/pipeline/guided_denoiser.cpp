#include "pipeline/guided_denoiser.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/dialect.h"
#include "pipeline/guidance_stages.h"

namespace fourstep {

namespace {

/// Hooks that are there at some noise levels.
struct HooksOverSteps {
  UNetExtras hooks;
  SigmaInterval nag, freeu, attention;

  UNetExtras at(double sigma) const {
    UNetExtras now = hooks;
    if (!nag.contains(sigma)) now.attention_terms.clear();
    if (!freeu.contains(sigma)) now.freeu.reset();
    if (!attention.contains(sigma)) now.middle_attention = nullptr;
    return now;
  }
};

bool is_plain(const UNetExtras& hooks) {
  return hooks.attention_terms.empty() && !hooks.freeu && !hooks.degraded &&
         !hooks.middle_attention;
}

/// What one image's calls share.
struct GuidedCalls {
  PromptNetwork network;
  HooksOverSteps hooks;
  AttentionMap attention = {};  ///< where hooks.hooks.middle_attention points

  /// `run` with the hooks of the noise level, or null where it has none.
  template <typename Run>
  auto with_hooks(const Tensor& sigma, Run run) const {
    const UNetExtras now = hooks.at(sigma[0].item<double>());
    return run(is_plain(now) ? nullptr : &now);
  }
};

FreeUOptions freeu_options(const GuidanceOptions& o) {
  return {o.freeu[0], o.freeu[1], o.freeu[2], o.freeu[3], o.freeu_version == 2};
}

HooksOverSteps make_hooks(const GuidanceOptions& options, const Prompts& prompts,
                          const NoiseSchedule& schedule, AttentionMap& attention) {
  const auto interval = [&](const char* method) {
    return sigma_interval(options, schedule, method);
  };
  HooksOverSteps all{{}, interval("nag"), interval("freeu"), interval("sag")};
  all.nag.to = std::max(all.nag.to, options.nag_end_sigma);
  if (prompts.nag) {
    all.hooks.attention_terms = {
        {prompts.nag->context, NagGuidance{options.nag_scale, options.nag_tau, options.nag_alpha}}};
  }
  if (is_method_on(options, "freeu")) all.hooks.freeu = freeu_options(options);
  if (is_method_on(options, "sag")) all.hooks.middle_attention = &attention;
  return all;
}

StageCalls make_stage_calls(const std::shared_ptr<GuidedCalls>& calls) {
  StageCalls stage;
  stage.degraded_cond = [calls](const Tensor& x, const Tensor& sigma,
                                const DegradedLayers& layers) {
    UNetExtras hooks = calls->hooks.at(sigma[0].item<double>());
    hooks.middle_attention = nullptr;
    hooks.degraded = layers;
    return calls->network.cond(x, sigma, &hooks);
  };
  const auto without_prompt = [calls](HookedDenoiser PromptNetwork::*which) {
    return [calls, which](const Tensor& x, const Tensor& sigma) {
      UNetExtras hooks = calls->hooks.at(sigma[0].item<double>());
      hooks.attention_terms.clear();
      hooks.middle_attention = nullptr;
      return (calls->network.*which)(x, sigma, is_plain(hooks) ? nullptr : &hooks);
    };
  };
  stage.uncond = without_prompt(&PromptNetwork::uncond);
  stage.empty = without_prompt(&PromptNetwork::empty);
  stage.middle_attention = &calls->attention;
  return stage;
}

/// ComfyUI's RescaleCFG measures spreads of v, diffusers those of what the network returns.
NetworkOutput rescaled_output(const ResolvedRequest& request, NetworkOutput own) {
  const bool is_own = request.sampling.dialect == Dialect::kDiffusers;
  return is_own ? own : NetworkOutput::kV;
}

/// The estimate during one stage of the prompts.
Guided guided_stage(const PromptNetwork& network, const Prompts& prompts, const GuidanceRun& run) {
  const auto calls = std::make_shared<GuidedCalls>(GuidedCalls{network, {}, {}});
  calls->hooks = make_hooks(run.options, prompts, run.schedule, calls->attention);
  const auto last_uncond = std::make_shared<Tensor>();
  const auto denoise = [calls, last_uncond,
                        pipeline = make_guidance_pipeline(run, make_stage_calls(calls))](
                           const Tensor& x, const Tensor& sigma) {
    const Denoiser cond = [&](const Tensor& x_now, const Tensor& sigma_now) {
      return calls->with_hooks(sigma_now, [&](const UNetExtras* hooks) {
        return calls->network.cond(x_now, sigma_now, hooks);
      });
    };
    const PairDenoiser pair = [&](const Tensor& x_now, const Tensor& sigma_now) {
      return calls->with_hooks(sigma_now, [&](const UNetExtras* hooks) {
        return calls->network.pair(x_now, sigma_now, hooks);
      });
    };
    return guided_estimate(pipeline, cond, pair, x, sigma, last_uncond.get());
  };
  if (!run.needs_uncond) return {denoise, {}};
  return {denoise, [last_uncond] { return *last_uncond; }};
}

/// Counts its calls from 0 and passes each to the stage that it belongs to.
Guided at_calls(const std::vector<Guided>& stages, const std::vector<StageSpan>& spans) {
  if (stages.size() == 1) return stages.front();
  const auto next_call = std::make_shared<int64_t>(0);
  const auto stage = std::make_shared<size_t>(0);
  const auto denoise = [=](const Tensor& x, const Tensor& sigma) {
    *stage = stage_at(spans, (*next_call)++);
    return stages[*stage].denoise(x, sigma);
  };
  if (!stages.front().uncond) return {denoise, {}};
  return {denoise, [=] { return stages[*stage].uncond(); }};
}

}  // namespace

Guided make_guided(const std::vector<PromptNetwork>& networks, const ResolvedRequest& request,
                   const PromptPlan& prompts, const SamplingPlan& plan) {
  const GuidanceRun run{request.guidance,
                        request.sampling.cfg_scale,
                        plan.sigmas,
                        plan.schedule,
                        rescaled_output(request, request.output),
                        plan.sampler.needs.uncond};
  std::vector<Guided> stages;
  for (size_t i = 0; i < networks.size(); ++i) {
    stages.push_back(guided_stage(networks[i], prompts.stages[i], run));
  }
  return at_calls(stages, prompts.spans);
}

}  // namespace fourstep
