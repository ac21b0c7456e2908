#include "distill/config.h"

#include "base/error.h"

namespace fourstep {

namespace {

void check_choice(const char* flag, const std::string& value, const char* first,
                  const char* second) {
  if (value == first || value == second) return;
  throw InvalidRequest("{} \"{}\": expected {} or {}", flag, value, first, second);
}

}  // namespace

void validate(const DistillConfig& config) {
  check_choice("--student", config.student, "lora", "full");
  check_choice("--backbone", config.backbone, "shared", "separate");
  check_choice("--precision", config.precision, "fp32", "bf16");
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
