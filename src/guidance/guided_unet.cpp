#include "guidance/guided_unet.h"

#include <utility>

namespace fourstep {

namespace {

GuidanceStages make_stages(const GuidanceSetup& setup) {
  const GuidanceOptions& options = setup.options;
  const GuidanceRun run{setup.schedule, setup.rescaled_output};
  const auto interval = [&](std::string_view name) {
    return sigma_interval(options, setup.schedule, name);
  };
  GuidanceStages stages{.sigmas = setup.sigmas,
                        .scales = options.cfg_steps,
                        .cfg_interval = interval("cfg"),
                        .sampler_needs_uncond = setup.sampler_needs_uncond};
  if (stages.scales.empty()) stages.scales = {setup.cfg_scale};
  for (const GuidanceMethod& method : guidance_methods()) {
    if (!method.is_on(options)) continue;
    stages.active.push_back({method.need, method.replaces_combination, interval(method.name),
                             method.make_stage(options, run)});
  }
  return stages;
}

/// uncond's rows first, then cond's: the order of ComfyUI, Forge and diffusers. NAG acts on the
/// last ones.
Conditioning stack(const Conditioning& uncond, const Conditioning& cond) {
  const auto join = [](const Tensor& a, const Tensor& b) {
    return a.defined() ? at::cat({a, b}) : Tensor();
  };
  return {join(uncond.context, cond.context), join(uncond.pooled, cond.pooled),
          join(uncond.time_ids, cond.time_ids)};
}

}  // namespace

GuidedUNet::GuidedUNet(UNet unet, GuidanceSetup setup, std::vector<Prompts> stages,
                       std::vector<StageSpan> spans)
    : unet_(std::move(unet)),
      setup_(std::move(setup)),
      stages_(std::move(stages)),
      spans_(std::move(spans)),
      sizes_(told_sizes(setup_.options.adm_guidance, setup_.width, setup_.height,
                        unet_->conv_in->weight.device())) {
  check_guided_layers(setup_.options, unet_->config);
  restart();
}

void GuidedUNet::restart() {
  guidance_ = make_stages(setup_);
  next_call_ = 0;
  last_uncond_ = Tensor();
}

Tensor GuidedUNet::estimate(const Tensor& x, const Tensor& sigma) {
  const int64_t index = next_call_++;
  const Prompts& prompts = stages_[stage_at(spans_, index)];
  const GuidanceCall call = guidance_.call_at(index, x, sigma, prompts, *this);
  CondUncond estimates;
  if (guidance_.needs_uncond(call)) {
    estimates = pair(call, {.is_stages_pair = true});
  } else if (prompts.has_parts()) {
    estimates.cond = cond(call, {});
  } else {
    // As part() does, without a function between: this is every call of a four-step model.
    estimates.cond = run(call, x, shown(call, prompts.cond, sizes_.prompt),
                         extras_of(call, {.num_cond = x.size(0)}, {}));
  }
  const Tensor denoised = guidance_.guide(call, estimates);
  last_uncond_ = estimates.uncond;
  return denoised;
}

Tensor GuidedUNet::degraded_cond(const GuidanceCall& call, const DegradedLayers& layers) {
  return cond(call, {.degraded = &layers});
}

Tensor GuidedUNet::uncond_at(const GuidanceCall& call, const Tensor& x) {
  return run(call, x, shown(call, *call.prompts.uncond, sizes_.negative), extras_of(call, {}, {}));
}

Tensor GuidedUNet::empty(const GuidanceCall& call) {
  return run(call, call.x, shown(call, *call.prompts.empty, sizes_.negative),
             extras_of(call, {}, {}));
}

Tensor GuidedUNet::cond(const GuidanceCall& call, const Purpose& purpose) {
  const Prompts& prompts = call.prompts;
  if (!prompts.has_parts()) return part(call, prompts.cond, purpose);
  // Else uncond has an influence, see pair().
  if (!is_neutral_scale(prompts.total_weight())) return pair(call, purpose).cond;
  Tensor sum = part(call, prompts.cond, purpose) * prompts.weight;
  for (const PromptPart& other : prompts.others) {
    sum = sum + part(call, other.cond, purpose) * other.weight;
  }
  return sum;
}

CondUncond GuidedUNet::pair(const GuidanceCall& call, const Purpose& purpose) {
  const Prompts& prompts = call.prompts;
  CondUncond estimates = pair_of_first_part(call, purpose);
  if (!prompts.has_parts()) return estimates;
  const Tensor& uncond = estimates.uncond;
  Tensor sum = uncond + (estimates.cond - uncond) * prompts.weight;
  for (const PromptPart& other : prompts.others) {
    sum = sum + (part(call, other.cond, purpose) - uncond) * other.weight;
  }
  return {sum, uncond};
}

CondUncond GuidedUNet::pair_of_first_part(const GuidanceCall& call, const Purpose& purpose) {
  const Prompts& prompts = call.prompts;
  if (!prompts.uncond) throw Error("guidance: it needs the negative prompt, which was not encoded");
  const int64_t batch = call.x.size(0);
  const Conditioning uncond = shown(call, *prompts.uncond, sizes_.negative);
  if (uncond.context.size(1) != prompts.cond.context.size(1)) {
    const CallRows rows{.is_pairs_uncond = purpose.is_stages_pair};
    Tensor without = run(call, call.x, uncond, extras_of(call, rows, purpose));
    return {part(call, prompts.cond, purpose), std::move(without)};
  }
  const Conditioning both = stack(uncond, shown(call, prompts.cond, sizes_.prompt));
  const CallRows rows{.num_cond = batch, .is_pairs_uncond = purpose.is_stages_pair};
  const auto halves =
      run(call, at::cat({call.x, call.x}), both, extras_of(call, rows, purpose)).chunk(2);
  return {halves[1], halves[0]};
}

Tensor GuidedUNet::part(const GuidanceCall& call, const Conditioning& cond,
                        const Purpose& purpose) {
  return run(call, call.x, shown(call, cond, sizes_.prompt),
             extras_of(call, {.num_cond = call.x.size(0)}, purpose));
}

UNetExtras GuidedUNet::extras_of(const GuidanceCall& call, const CallRows& rows,
                                 const Purpose& purpose) const {
  UNetExtras extras = setup_.extras;
  guidance_.extend(call, rows, extras);
  if (purpose.degraded) extras.degraded = *purpose.degraded;
  return extras;
}

Conditioning GuidedUNet::shown(const GuidanceCall& call, const Conditioning& cond,
                               const SizeOverSteps& told) const {
  const int64_t batch = call.x.size(0);
  const Tensor& time_ids = cond.time_ids.defined()
                               ? cond.time_ids
                               : told.at(nearest_timestep(setup_.schedule, call.level));
  return {rows_of_batch(cond.context, batch), rows_of_batch(cond.pooled, batch),
          rows_of_batch(time_ids, batch)};
}

Tensor GuidedUNet::run(const GuidanceCall& call, const Tensor& x, const Conditioning& shown,
                       const UNetExtras& extras) {
  const int64_t rows = x.size(0);
  const Tensor sigma = at::full({rows}, call.level, torch::kFloat64);
  const Tensor timestep =
      at::full({rows}, setup_.timestep_of(call.level), x.options().dtype(torch::kFloat32));
  const Tensor output = unet_->forward(
      {scale_input(x, sigma), timestep, shown.context, shown.pooled, shown.time_ids, &extras});
  return denoised_from_output(setup_.output, x, output, sigma);
}

}  // namespace fourstep
