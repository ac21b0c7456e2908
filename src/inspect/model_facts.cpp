#include "inspect/model_facts.h"

#include "pipeline/lora_lookup.h"
#include "pipeline/models.h"
#include "pipeline/sampling_plan.h"

namespace fourstep {

namespace {

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
          noise_schedule_of(request, /*file_zero_snr=*/false),
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
  if (request.model.empty()) return four_step_sdxl(request);
  Models models(request, {});
  models.set_loras(loras_of(request, {}), request.lora_partial, {});
  const Checkpoint& checkpoint = models.checkpoint();
  return {models.traits(),
          models.noise_schedule(request),
          find_vocabulary(checkpoint),
          checkpoint.has(Component::kTextEncoder2),
          text_widths(checkpoint),
          models.inversion_bundles()};
}

}  // namespace fourstep
