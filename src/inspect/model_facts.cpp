#include "inspect/model_facts.h"

#include "pipeline/lora_lookup.h"
#include "pipeline/models.h"
#include "pipeline/sampling_plan.h"

namespace fourstep {

namespace {

ModelFacts four_step_sdxl(const Request& request) {
  Checkpoint nothing;
  nothing.path = "inspect";
  ModelTraits traits;
  traits.loras = {{.file_name = "the four-step LoRA",
                   .unet_weight = 1,
                   .is_dmd2 = true,
                   .has_text_part = false}};
  return {traits, noise_schedule_of(request, /*file_zero_snr=*/false), find_vocabulary(nothing),
          /*has_two_encoders=*/true};
}

}  // namespace

ModelFacts model_facts(const Request& request) {
  if (request.model.empty()) return four_step_sdxl(request);
  Models models(request, {});
  models.set_loras(loras_of(request, {}), request.lora_partial, {});
  const Checkpoint& checkpoint = models.checkpoint();
  return {models.traits(), models.noise_schedule(request), find_vocabulary(checkpoint),
          checkpoint.has(Component::kTextEncoder2)};
}

}  // namespace fourstep
