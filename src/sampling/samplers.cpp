#include "sampling/samplers.h"

#include <array>
#include <utility>

#include "sampling/dpm_solver.h"
#include "sampling/find_row.h"
#include "sampling/restart.h"
#include "sampling/sa_solver.h"
#include "sampling/samplers_ancestral.h"
#include "sampling/samplers_cfg_pp.h"
#include "sampling/samplers_multistep.h"
#include "sampling/samplers_ode.h"
#include "sampling/samplers_sde.h"
#include "sampling/uni_pc.h"

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
    SamplerRow{"lcm", sample_lcm, kFreshNoise, kDefault,
               "for distilled models (DMD2, LCM): x0, then fresh noise"},
    SamplerRow{"euler", sample_euler, kOneCall, kDefault, "first order, deterministic"},
    SamplerRow{"euler_ancestral", sample_euler_ancestral, kFreshNoise, kDefault,
               "first order with fresh noise"},
    SamplerRow{"heun", sample_heun, kTwoCalls, kDefault, "second order, two calls per step"},
    SamplerRow{"heunpp2",
               sample_heunpp2,
               {.calls_per_step = 3},
               kDefault,
               "up to three weighted calls per step"},
    SamplerRow{"dpm_2", sample_dpm_2, kTwoCalls, kDefault,
               "second order at the middle, two calls per step"},
    SamplerRow{"dpm_2_ancestral", sample_dpm_2_ancestral, kFreshNoiseTwoCalls, kDefault,
               "dpm_2 with fresh noise"},
    SamplerRow{"lms", sample_lms, kOneCall, kFourth, "linear multistep of order 4"},
    SamplerRow{"dpm_fast", sample_dpm_fast, kFreshNoise, kNoNoise,
               "DPM-Solver of order 3 with steps of its own, as many calls as steps"},
    SamplerRow{"dpm_adaptive", sample_dpm_adaptive, kFreshNoise, kNoNoise,
               "DPM-Solver whose steps follow from the error, whatever their number"},
    SamplerRow{"dpmpp_2s", sample_dpmpp_2s, kOneCall, kDefault,
               "DPM++ 2S, every two steps are one of second order"},
    SamplerRow{"dpmpp_2s_ancestral", sample_dpmpp_2s_ancestral, kFreshNoiseTwoCalls, kDefault,
               "DPM++ 2S with fresh noise, two calls per step"},
    SamplerRow{"dpmpp_sde",
               sample_dpmpp_sde,
               {.noise = kBrownian, .calls_per_step = 2},
               kDefault,
               "DPM++ SDE, two calls per step"},
    SamplerRow{"dpmpp_2m", sample_dpmpp_2m, kOneCall, kDefault, "second order, deterministic"},
    SamplerRow{"dpmpp_2m_sde", sample_dpmpp_2m_sde, kPath, kDefault, "second order SDE"},
    SamplerRow{"dpmpp_2m_sde_heun", sample_dpmpp_2m_sde, kPath, kHeunSde,
               "second order SDE, Heun's variant"},
    SamplerRow{"dpmpp_3m_sde", sample_dpmpp_3m_sde, kPath, kDefault, "third order SDE"},
    SamplerRow{"ddim", sample_ddim, kFreshNoise, kNoNoise, "DDIM; eta brings in noise"},
    SamplerRow{"ddpm", sample_ddpm, kFreshNoise, kDefault,
               "the discrete diffusion process backwards"},
    SamplerRow{"tcd", sample_tcd, kFreshNoise, kTcd, "trajectory consistency, for TCD models"},
    SamplerRow{"ipndm", sample_ipndm, kOneCall, kFourth, "Adams-Bashforth of order 4"},
    SamplerRow{"ipndm_v", sample_ipndm_v, kOneCall, kFourth, "ipndm for unequal steps"},
    SamplerRow{"plms", sample_plms, kOneCall, kFourth, "pseudo linear multistep, one call more"},
    SamplerRow{"deis", sample_deis, kOneCall, kDefault, "exponential integrator of order 3"},
    SamplerRow{"uni_pc", sample_uni_pc, kOneCall, kToTheEnd, "predictor and corrector of order 3"},
    SamplerRow{"uni_pc_bh2", sample_uni_pc_bh2, kOneCall, kToTheEnd, "uni_pc for few steps"},
    SamplerRow{"res_multistep", sample_res_multistep, kFreshNoise, kNoNoise,
               "second order exponential integrator"},
    SamplerRow{"res_multistep_ancestral", sample_res_multistep, kFreshNoise, kDefault,
               "res_multistep with fresh noise"},
    SamplerRow{"gradient_estimation", sample_gradient_estimation, kOneCall, kDefault,
               "Euler with an extrapolated slope"},
    SamplerRow{"er_sde", sample_er_sde, kFreshNoise, kDefault, "extended reverse SDE of order 3"},
    SamplerRow{"seeds_2", sample_seeds_2, kFreshNoiseTwoCalls, kDefault,
               "SDE with two calls per step"},
    SamplerRow{"seeds_3",
               sample_seeds_3,
               {.noise = kFresh, .calls_per_step = 3},
               kDefault,
               "SDE with three calls per step"},
    SamplerRow{"sa_solver", sample_sa_solver, kFreshNoise, kDefault,
               "stochastic Adams, noise in the middle of the way"},
    SamplerRow{"sa_solver_pece", sample_sa_solver_pece, kFreshNoiseTwoCalls, kDefault,
               "sa_solver, two calls per step"},
    SamplerRow{"restart", sample_restart, kFreshNoiseTwoCalls, kDefault,
               "heun; from 20 steps up it goes back up and repeats a stretch"},
    SamplerRow{"euler_cfg_pp", sample_euler_cfg_pp, kUncond, kDefault,
               "CFG++: euler for CFG 0.7 to 2"},
    SamplerRow{"euler_ancestral_cfg_pp", sample_euler_ancestral_cfg_pp, kUncondAndNoise, kDefault,
               "CFG++: euler_ancestral"},
    SamplerRow{"dpmpp_2m_cfg_pp", sample_dpmpp_2m_cfg_pp, kUncond, kDefault, "CFG++: dpmpp_2m"},
    SamplerRow{"dpmpp_2s_ancestral_cfg_pp",
               sample_dpmpp_2s_ancestral_cfg_pp,
               {.noise = kFresh, .calls_per_step = 2, .uncond = true},
               kDefault,
               "CFG++: dpmpp_2s_ancestral"},
    SamplerRow{"res_multistep_cfg_pp", sample_res_multistep_cfg_pp, kUncondAndNoise, kNoNoise,
               "CFG++: res_multistep"},
    SamplerRow{"res_multistep_ancestral_cfg_pp", sample_res_multistep_cfg_pp, kUncondAndNoise,
               kDefault, "CFG++: res_multistep_ancestral"},
    SamplerRow{"ddim_cfg_pp", sample_euler_cfg_pp, kUncond, kDefault,
               "CFG++: ddim, the same as euler's"},
    SamplerRow{"gradient_estimation_cfg_pp", sample_gradient_estimation_cfg_pp, kUncond, kDefault,
               "CFG++: gradient_estimation"},
};

}  // namespace

std::span<const SamplerRow> sampler_rows() { return kSamplerRows; }

const SamplerRow& find_sampler(std::string_view name) {
  return find_row(sampler_rows(), "sampler", name);
}

Tensor sample(const SamplerRow& sampler, const SamplerRun& run, Tensor x, const OnStep& on_step) {
  check_falling(run.sigmas);
  if (run.sigmas.size() < 2) return x;
  return sampler.function(run, std::move(x), on_step);
}

}  // namespace fourstep
