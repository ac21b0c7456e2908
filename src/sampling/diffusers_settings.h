#pragma once
// How people write the settings of diffusers' schedulers behind the class name, in words or as keyword arguments:
// "DPMSolverMultistepScheduler(use_karras_sigmas=True, algorithm_type='sde-dpmsolver++')".

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fourstep {

struct SamplerAndSchedule;

struct DiffusersSettings {
  std::string_view class_name;  ///< what stands before the first setting
  std::vector<std::pair<std::string, std::string>>
      settings;  ///< lower case; "true" where no value is given
};

/// Divides a text at the first word that is one of diffusers' settings; without one all of it is the class name, which
/// points into `text`.
DiffusersSettings take_diffusers_settings(std::string_view text);

/// What a sampler becomes by its settings: another sampler (algorithm_type, solver_type), a schedule (use_karras_sigmas,
/// timestep_spacing and the like), or nothing where they are the defaults.
/// Throws InvalidRequest naming the setting when it asks for what is not here.
SamplerAndSchedule with_diffusers_settings(SamplerAndSchedule named,
                                           const DiffusersSettings& settings);

}  // namespace fourstep
