#include "sampling/diffusers_schedulers.h"

#include <algorithm>
#include <array>

#include "sampling/sa_solver.h"
#include "sampling/samplers_ancestral.h"
#include "sampling/samplers_multistep.h"

namespace fourstep {

namespace {

using enum SolverKind;

constexpr int kAlways = 1001;  // no list has more steps than 1000

constexpr auto kDiffusersSchedulers = std::to_array<DiffusersScheduler>({
    {"euler", "EulerDiscreteScheduler"},
    {"euler_ancestral", "EulerAncestralDiscreteScheduler"},
    {"heun", "HeunDiscreteScheduler"},
    {.sampler = "lms", .name = "LMSDiscreteScheduler", .last_step = LastStep::kFormula},
    {"dpm_2", "KDPM2DiscreteScheduler", kKdpm2},
    {"dpm_2_ancestral", "KDPM2AncestralDiscreteScheduler", kKdpm2},
    {"dpmpp_sde", "DPMSolverSDEScheduler"},
    {"dpmpp_2m", "DPMSolverMultistepScheduler", kMultistep},
    {.sampler = "dpmpp_2m_sde",
     .name = "DPMSolverMultistepScheduler",
     .solver = kMultistep,
     .draws_from_stream = true},
    {.sampler = "dpmpp_2m_sde_heun",
     .name = "DPMSolverMultistepScheduler",
     .solver = kMultistep,
     .draws_from_stream = true},
    {"dpmpp_3m_sde", "DPMSolverMultistepScheduler", kMultistep},
    {.sampler = "dpmpp_2s",
     .name = "DPMSolverSinglestepScheduler",
     .solver = kMultistep,
     .is_linspace_only = true},
    {.sampler = "deis",
     .name = "DEISMultistepScheduler",
     .solver = kMultistep,
     .function = sample_deis_log,
     .order = 2,
     .last_step = LastStep::kFormula,
     .first_order_below = 15,
     .ends_at_timestep_0 = true},
    {"uni_pc", "UniPCMultistepScheduler", kMultistep, nullptr, 2},
    {"uni_pc_bh2", "UniPCMultistepScheduler", kMultistep, nullptr, 2},
    {.sampler = "sa_solver",
     .name = "SASolverScheduler",
     .solver = kMultistep,
     .function = sample_sa_solver_two_points,
     .last_step = LastStep::kFormula,
     .first_order_below = kAlways,
     .ends_at_timestep_0 = true},
    {.sampler = "ddim",
     .name = "DDIMScheduler",
     .solver = kDdim,
     .ends_at_timestep_0 = true,
     .has_stride = true},
    {"ddpm", "DDPMScheduler", kDdim},
    {.sampler = "plms",
     .name = "PNDMScheduler",
     .solver = kDdim,
     .ends_at_timestep_0 = true,
     .has_stride = true},
    {"lcm", "LCMScheduler", kDdim, sample_lcm_with_boundary},
    {"tcd", "TCDScheduler", kDdim},
});

}  // namespace

std::optional<DiffusersScheduler> find_diffusers_scheduler(std::string_view sampler) {
  const auto row =
      std::find_if(kDiffusersSchedulers.begin(), kDiffusersSchedulers.end(),
                   [sampler](const DiffusersScheduler& s) { return s.sampler == sampler; });
  if (row == kDiffusersSchedulers.end()) return std::nullopt;
  return *row;
}

}  // namespace fourstep
