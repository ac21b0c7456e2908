#pragma once
// The schedulers of diffusers behind our samplers: what each does otherwise than the sampler of its method.

#include <optional>
#include <string_view>

#include "sampling/samplers.h"
#include "sampling/timestep_lists.h"

namespace fourstep {

/// A row of diffusers_schedulers(). Settings are the class's defaults with SDXL's scheduler_config.json: set_alpha_to_one
/// and clip_sample off, skip_prk_steps on, steps_offset 1. Source: diffusers 0.42, src/diffusers/schedulers.
struct DiffusersScheduler {
  std::string_view sampler;  ///< ours
  std::string_view name;     ///< the class
  SolverKind solver = SolverKind::kEuler;
  SamplerFunction function = nullptr;  ///< where it steps by another formula
  int order = 0;                       ///< its solver_order where that is not the sampler's
  LastStep last_step = LastStep::kEstimate;
  int first_order_below = 0;        ///< with fewer steps the last one is of first order
  bool ends_at_timestep_0 = false;  ///< whose level is above 0, in a state of unit variance
  bool has_stride = false;          ///< steps go 1000 div steps timesteps, whatever the list says
  bool draws_from_stream = false;   ///< where the sampler's noise follows a Brownian path
  bool is_linspace_only = false;    ///< it has no timestep_spacing
};

/// The scheduler behind a sampler of ours; none where diffusers has no such method.
std::optional<DiffusersScheduler> find_diffusers_scheduler(std::string_view sampler);

}  // namespace fourstep
