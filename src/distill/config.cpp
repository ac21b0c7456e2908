#include "distill/config.h"

#include "base/error.h"

namespace fourstep {

void validate(const DistillConfig& config) {
  check_word("--student", config.student, {"lora", "full"});
  check_word("--backbone", config.backbone, {"shared", "separate"});
  check_word("--precision", config.precision, {"fp32", "bf16"});
  if (config.backbone == "shared" && config.student == "full") {
    throw InvalidRequest(
        "--student full needs --backbone separate: on a shared network only adapters are trained");
  }
  if (config.timesteps.empty()) throw InvalidRequest("--timesteps: at least one is needed");
  for (size_t i = 0; i < config.timesteps.size(); ++i) {
    const double t = config.timesteps[i];
    if (t != std::floor(t)) throw InvalidRequest("--timesteps {}: expected whole numbers", t);
    if (i > 0 && t >= config.timesteps[i - 1]) {
      throw InvalidRequest("--timesteps: {} does not fall after {}", t, config.timesteps[i - 1]);
    }
  }
  if (config.min_timestep > config.max_timestep) {
    throw InvalidRequest("--min-timestep {} is above --max-timestep {}", config.min_timestep,
                         config.max_timestep);
  }
}

}  // namespace fourstep
