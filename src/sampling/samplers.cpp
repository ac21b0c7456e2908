#include "sampling/samplers.h"

#include <array>
#include <utility>

#include "sampling/dpm_solver.h"
#include "sampling/names.h"
#include "sampling/restart.h"
#include "sampling/sa_solver.h"
#include "sampling/samplers_ancestral.h"
#include "sampling/samplers_cfg_pp.h"
#include "sampling/samplers_multistep.h"
#include "sampling/samplers_ode.h"
#include "sampling/samplers_sde.h"
#include "sampling/uni_pc.h"
#include "sampling/unknown_names.h"

namespace fourstep {

namespace {

using enum NoiseKind;

constexpr SamplerNeeds kOneCall{};
constexpr SamplerNeeds kTwoCalls{.calls_per_step = 2};
constexpr SamplerNeeds kFreshNoise{.noise = kFresh};
constexpr SamplerNeeds kFreshNoiseTwoCalls{.noise = kFresh, .calls_per_step = 2};
constexpr SamplerNeeds kPath{.noise = kBrownian};
constexpr SamplerNeeds kUncond{.uncond = true};
constexpr SamplerNeeds kUncondAndNoise{.noise = kFresh, .uncond = true};

constexpr SamplerSettings kDefault{};
constexpr SamplerSettings kNoNoise{.eta = 0};
constexpr SamplerSettings kFourth{.order = 4};
constexpr SamplerSettings kTcd{.eta = 0.3};
constexpr SamplerSettings kToTheEnd{.last_step = LastStep::kFormula};
constexpr SamplerSettings kHeunSde{.solver = SdeSolver::kHeun};

constexpr std::array kSamplerRows = {
    SamplerRow{"lcm",
               sample_lcm,
               kFreshNoise,
               kDefault,
               "for distilled models (DMD2, LCM): x0, then fresh noise",
               {.a1111 = "LCM", .diffusers = "LCMScheduler"}},
    SamplerRow{
        "euler",
        sample_euler,
        kOneCall,
        kDefault,
        "first order, deterministic",
        {.a1111 = "Euler", .diffusers = "EulerDiscreteScheduler", .others = "Euler SGM>trailing"}},
    SamplerRow{"euler_ancestral",
               sample_euler_ancestral,
               kFreshNoise,
               kDefault,
               "first order with fresh noise",
               {.a1111 = "Euler a", .diffusers = "EulerAncestralDiscreteScheduler"}},
    SamplerRow{"heun",
               sample_heun,
               kTwoCalls,
               kDefault,
               "second order, two calls per step",
               {.a1111 = "Heun", .diffusers = "HeunDiscreteScheduler"}},
    SamplerRow{"heunpp2",
               sample_heunpp2,
               {.calls_per_step = 3},
               kDefault,
               "up to three weighted calls per step",
               {.a1111 = "HeunPP2"}},
    SamplerRow{"dpm_2",
               sample_dpm_2,
               kTwoCalls,
               kDefault,
               "second order at the middle, two calls per step",
               {.a1111 = "DPM2", .diffusers = "KDPM2DiscreteScheduler", .automatic = "karras"}},
    SamplerRow{
        "dpm_2_ancestral",
        sample_dpm_2_ancestral,
        kFreshNoiseTwoCalls,
        kDefault,
        "dpm_2 with fresh noise",
        {.a1111 = "DPM2 a", .diffusers = "KDPM2AncestralDiscreteScheduler", .automatic = "karras"}},
    SamplerRow{"lms",
               sample_lms,
               kOneCall,
               kFourth,
               "linear multistep of order 4",
               {.a1111 = "LMS", .diffusers = "LMSDiscreteScheduler", .others = "LMSD"}},
    SamplerRow{"dpm_fast",
               sample_dpm_fast,
               kFreshNoise,
               kNoNoise,
               "DPM-Solver of order 3 with steps of its own, as many calls as steps",
               {.a1111 = "DPM fast"}},
    SamplerRow{"dpm_adaptive",
               sample_dpm_adaptive,
               kFreshNoise,
               kNoNoise,
               "DPM-Solver whose steps follow from the error, whatever their number",
               {.a1111 = "DPM adaptive", .others = "dpm_ad"}},
    SamplerRow{"dpmpp_2s",
               sample_dpmpp_2s,
               kOneCall,
               kDefault,
               "DPM++ 2S, every two steps are one of second order",
               {.diffusers = "DPMSolverSinglestepScheduler"}},
    SamplerRow{"dpmpp_2s_ancestral",
               sample_dpmpp_2s_ancestral,
               kFreshNoiseTwoCalls,
               kDefault,
               "DPM++ 2S with fresh noise, two calls per step",
               {.a1111 = "DPM++ 2S a", .automatic = "karras"}},
    SamplerRow{"dpmpp_sde",
               sample_dpmpp_sde,
               {.noise = kBrownian, .calls_per_step = 2},
               kDefault,
               "DPM++ SDE, two calls per step",
               {.a1111 = "DPM++ SDE",
                .diffusers = "DPMSolverSDEScheduler",
                .others = "dpmpp_sde_gpu;DPM SDE",
                .automatic = "karras"}},
    SamplerRow{
        "dpmpp_2m",
        sample_dpmpp_2m,
        kOneCall,
        kDefault,
        "second order, deterministic",
        {.a1111 = "DPM++ 2M", .diffusers = "DPMSolverMultistepScheduler", .automatic = "karras"}},
    SamplerRow{"dpmpp_2m_sde",
               sample_dpmpp_2m_sde,
               kPath,
               kDefault,
               "second order SDE",
               {.a1111 = "DPM++ 2M SDE",
                .others = "dpmpp_2m_sde_gpu;dpm++2m_sde_bt",
                .automatic = "exponential"}},
    SamplerRow{"dpmpp_2m_sde_heun",
               sample_dpmpp_2m_sde,
               kPath,
               kHeunSde,
               "second order SDE, Heun's variant",
               {.a1111 = "DPM++ 2M SDE Heun",
                .others = "dpmpp_2m_sde_heun_gpu",
                .automatic = "exponential"}},
    SamplerRow{"dpmpp_3m_sde",
               sample_dpmpp_3m_sde,
               kPath,
               kDefault,
               "third order SDE",
               {.a1111 = "DPM++ 3M SDE", .others = "dpmpp_3m_sde_gpu", .automatic = "exponential"}},
    SamplerRow{"ddim",
               sample_ddim,
               kFreshNoise,
               kNoNoise,
               "DDIM; eta brings in noise",
               {.a1111 = "DDIM", .diffusers = "DDIMScheduler;DDIMParallelScheduler"}},
    SamplerRow{"ddpm",
               sample_ddpm,
               kFreshNoise,
               kDefault,
               "the discrete diffusion process backwards",
               {.a1111 = "DDPM", .diffusers = "DDPMScheduler;DDPMParallelScheduler"}},
    SamplerRow{"tcd",
               sample_tcd,
               kFreshNoise,
               kTcd,
               "trajectory consistency, for TCD models",
               {.diffusers = "TCDScheduler"}},
    SamplerRow{
        "ipndm", sample_ipndm, kOneCall, kFourth, "Adams-Bashforth of order 4", {.a1111 = "IPNDM"}},
    SamplerRow{"ipndm_v",
               sample_ipndm_v,
               kOneCall,
               kFourth,
               "ipndm for unequal steps",
               {.a1111 = "IPNDM_V"}},
    SamplerRow{"plms",
               sample_plms,
               kOneCall,
               kFourth,
               "pseudo linear multistep, one call more",
               {.a1111 = "PLMS", .diffusers = "PNDMScheduler"}},
    SamplerRow{"deis",
               sample_deis,
               kOneCall,
               kDefault,
               "exponential integrator of order 3",
               {.a1111 = "DEIS", .diffusers = "DEISMultistepScheduler"}},
    SamplerRow{"uni_pc",
               sample_uni_pc,
               kOneCall,
               kToTheEnd,
               "predictor and corrector of order 3",
               {.a1111 = "UniPC"}},
    SamplerRow{"uni_pc_bh2",
               sample_uni_pc_bh2,
               kOneCall,
               kToTheEnd,
               "uni_pc for few steps",
               {.diffusers = "UniPCMultistepScheduler", .others = "unipc_k>karras"}},
    SamplerRow{"res_multistep", sample_res_multistep, kFreshNoise, kNoNoise,
               "second order exponential integrator"},
    SamplerRow{"res_multistep_ancestral", sample_res_multistep, kFreshNoise, kDefault,
               "res_multistep with fresh noise"},
    SamplerRow{"gradient_estimation",
               sample_gradient_estimation,
               kOneCall,
               kDefault,
               "Euler with an extrapolated slope",
               {.others = "euler_ge"}},
    SamplerRow{"er_sde", sample_er_sde, kFreshNoise, kDefault, "extended reverse SDE of order 3"},
    SamplerRow{"seeds_2", sample_seeds_2, kFreshNoiseTwoCalls, kDefault,
               "SDE with two calls per step"},
    SamplerRow{"seeds_3",
               sample_seeds_3,
               {.noise = kFresh, .calls_per_step = 3},
               kDefault,
               "SDE with three calls per step"},
    SamplerRow{"sa_solver",
               sample_sa_solver,
               kFreshNoise,
               kDefault,
               "stochastic Adams, noise in the middle of the way",
               {.diffusers = "SASolverScheduler"}},
    SamplerRow{"sa_solver_pece", sample_sa_solver_pece, kFreshNoiseTwoCalls, kDefault,
               "sa_solver, two calls per step"},
    SamplerRow{"restart",
               sample_restart,
               kFreshNoiseTwoCalls,
               kDefault,
               "heun; from 20 steps up it goes back up and repeats a stretch",
               {.a1111 = "Restart", .automatic = "karras"}},
    SamplerRow{"euler_cfg_pp", sample_euler_cfg_pp, kUncond, kDefault,
               "CFG++: euler for CFG 0.7 to 2"},
    SamplerRow{"euler_ancestral_cfg_pp",
               sample_euler_ancestral_cfg_pp,
               kUncondAndNoise,
               kDefault,
               "CFG++: euler_ancestral",
               {.others = "Euler a CFG++"}},
    SamplerRow{"dpmpp_2m_cfg_pp", sample_dpmpp_2m_cfg_pp, kUncond, kDefault, "CFG++: dpmpp_2m"},
    SamplerRow{"dpmpp_2s_ancestral_cfg_pp",
               sample_dpmpp_2s_ancestral_cfg_pp,
               {.noise = kFresh, .calls_per_step = 2, .uncond = true},
               kDefault,
               "CFG++: dpmpp_2s_ancestral",
               {.others = "DPM++ 2S a CFG++"}},
    SamplerRow{"res_multistep_cfg_pp", sample_res_multistep_cfg_pp, kUncondAndNoise, kNoNoise,
               "CFG++: res_multistep"},
    SamplerRow{"res_multistep_ancestral_cfg_pp", sample_res_multistep_cfg_pp, kUncondAndNoise,
               kDefault, "CFG++: res_multistep_ancestral"},
    SamplerRow{"ddim_cfg_pp",
               sample_euler_cfg_pp,
               kUncond,
               kDefault,
               "CFG++: ddim, the same as euler's",
               {.a1111 = "DDIM CFG++"}},
    SamplerRow{"gradient_estimation_cfg_pp", sample_gradient_estimation_cfg_pp, kUncond, kDefault,
               "CFG++: gradient_estimation"},
};

}  // namespace

std::span<const SamplerRow> sampler_rows() { return kSamplerRows; }

const SamplerRow& find_sampler(std::string_view name) {
  const std::string known = sampler_name(name);
  for (const SamplerRow& row : sampler_rows()) {
    if (row.name == known) return row;
  }
  refuse_sampler_name(name);
}

Tensor sample(const SamplerRow& sampler, const SamplerRun& run, Tensor x, const OnStep& on_step) {
  check_falling(run.sigmas);
  if (run.sigmas.size() < 2) return x;
  return sampler.function(run, std::move(x), on_step);
}

}  // namespace fourstep
