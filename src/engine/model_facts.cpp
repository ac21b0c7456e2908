#include "engine/model_facts.h"

#include "pipeline/models.h"
#include "pipeline/sampling_plan.h"
#include "request/lora_lookup.h"

namespace fourstep {

namespace {

NoiseSchedule schedule_of(const Request& request, const ModelTraits& traits) {
  return noise_schedule_of(request.sampling.dialect,
                           request.networks.zero_snr.value_or(traits.zero_snr));
}

ModelFacts four_step_sdxl(const Request& request) {
  constexpr int64_t kWidth = 768, kWidth2 = 1280;  // of SDXL's text encoders
  Checkpoint nothing;
  nothing.path = "inspect";
  ModelTraits traits;
  traits.loras = {{.file_name = "the four-step LoRA",
                   .unet_weight = 1,
                   .is_dmd2 = true,
                   .has_text_part = false}};
  return {traits,
          schedule_of(request, traits),
          find_vocabulary(nothing),
          /*has_two_encoders=*/true,
          {kWidth, kWidth2}};
}

/// Of the text encoders that the checkpoint has.
std::vector<int64_t> text_widths(const Checkpoint& checkpoint) {
  std::vector<int64_t> widths;
  for (const Component part : {Component::kTextEncoder, Component::kTextEncoder2}) {
    if (!checkpoint.has(part)) continue;
    const NamedShapes shapes = shapes_of(checkpoint.components.at(part));
    widths.push_back(clip_config_from_shapes(shapes, 0, checkpoint.path.string()).width);
  }
  return widths;
}

}  // namespace

ModelFacts model_facts(const Request& request) {
  if (request.files.model.empty()) return four_step_sdxl(request);
  Models models(request.files, {});
  models.choose_loras(loras_of(request, {}), request.files.lora_partial);
  const Checkpoint& checkpoint = models.checkpoint();
  return {models.traits(),
          schedule_of(request, models.traits()),
          find_vocabulary(checkpoint),
          checkpoint.has(Component::kTextEncoder2),
          text_widths(checkpoint),
          models.inversion_bundles()};
}

std::vector<LintFinding> lint_request(const Request& request) {
  const ModelFacts model = model_facts(request);
  const ResolvedRequest resolved = resolve(request, model.traits);
  const SamplingPlan plan = plan_sampling(resolved.sampling, model.schedule);
  return lint({request, resolved, model.traits, plan});
}

}  // namespace fourstep
