#pragma once
// The table of samplers. A row says all there is to say of a sampler: its function, what it needs,
// its names, and how other programs run it. A new sampler is a function and a row in one of the
// family files (samplers_*.cpp), and its numbers in tests/golden.

#include <limits>
#include <span>
#include <string_view>

#include "base/dialect.h"
#include "base/tensor.h"
#include "sampling/sampler.h"
#include "sampling/timestep_lists.h"

namespace fourstep {

/// x: [B,4,h,w] fp32 at run.sigmas[0]. Returns [B,4,h,w] at run.sigmas.back().
/// Throws Error when it needs noise or the estimate without prompt and the run has none.
using SamplerFunction = Tensor (*)(const SamplerRun& run, Tensor x, const OnStep& on_step);

/// The noise that a sampler draws between steps.
enum class NoiseKind {
  kNone,
  kFresh,     ///< one independent tensor after the other
  kBrownian,  ///< increments of one Brownian path, so that the result hardly depends on the steps
};

/// What a sampler asks of its surroundings beyond the list of noise levels.
struct SamplerNeeds {
  NoiseKind noise = NoiseKind::kNone;
  int calls_per_step = 1;  ///< of the network; the step to sigma 0 takes one
  bool uncond = false;     ///< the estimate without the prompt at any CFG scale
  double max_eta = std::numeric_limits<double>::infinity();  ///< beyond it the formula has no sense
  bool adaptive =
      false;  ///< chooses its steps, for a whole batch: an image depends on its neighbours
};

/// What other programs call a sampler, as far as they mean the same algorithm (names.h). Several
/// names are separated by ';', and NAME>SCHEDULE is a name that fixes the schedule too. The classes
/// of diffusers stand in DiffusersScheduler.
struct SamplerNames {
  std::string_view a1111 = {};   ///< one label, of A1111 and Forge; it is written into images
  std::string_view others = {};  ///< of ComfyUI, InvokeAI, SD.Next, sd.cpp and Draw Things
  std::string_view automatic = "normal";  ///< the schedule of A1111's "Automatic"
};

/// Whose noise levels A1111 samples at: it has lists of its own, whatever the schedule, and states
/// of unit variance to the end for its timestep samplers.
enum class A1111List { kOfSchedule, kDdim, kUniPc };

/// How A1111 and Forge run a sampler.
struct A1111Rules {
  A1111List list = A1111List::kOfSchedule;
  bool two_calls = false;             ///< prompt schedules count two calls for each step
  bool discards_penultimate = false;  ///< ScheduleSettings::discard_penultimate
};

/// How ComfyUI runs a sampler.
struct ComfyRules {
  bool discards_penultimate = false;  ///< ScheduleSettings::discard_penultimate
};

/// The scheduler of diffusers behind a sampler: what it does otherwise than the sampler of its
/// method. Defaults are the class's with SDXL's scheduler_config.json: set_alpha_to_one and
/// clip_sample off, skip_prk_steps on, steps_offset 1. Source: diffusers 0.42,
/// src/diffusers/schedulers.
struct DiffusersScheduler {
  std::string_view classes = {};  ///< separated by ';', the first is shown; empty: it has none
  /// Of the class, KEY=VALUE separated by ';': those that make it this sampler and not another
  /// row's.
  std::string_view settings = {};
  bool by_default = true;  ///< the class alone, without settings, means this sampler
  SolverKind solver = SolverKind::kEuler;
  SamplerFunction function = nullptr;  ///< where it steps by another formula
  int order = 0;                       ///< its solver_order where that is not the sampler's
  LastStep last_step = LastStep::kEstimate;
  int first_order_below = 0;        ///< with fewer steps the last one is of first order
  bool ends_at_timestep_0 = false;  ///< whose level is above 0, in a state of unit variance
  bool has_stride = false;          ///< steps go 1000 div steps timesteps, whatever the list says
  bool draws_from_stream = false;   ///< where the sampler's noise follows a Brownian path
  bool is_linspace_only = false;    ///< it has no timestep_spacing

  bool exists() const { return !classes.empty(); }
  std::string_view name() const { return classes.substr(0, classes.find(';')); }
};

struct SamplerRow {
  std::string_view name;
  SamplerFunction function;
  std::string_view help;  ///< one line for lists of choices
  SamplerNeeds needs = {};
  SamplerSettings defaults = {};
  SamplerNames names = {};
  A1111Rules a1111 = {};
  ComfyRules comfyui = {};
  DiffusersScheduler diffusers = {};

  /// Whether a program runs it without the last but one noise level; kFourstep does as ComfyUI.
  bool discards_penultimate(Dialect dialect) const;
};

// The rows by family, each in the file of its name.
std::span<const SamplerRow> ancestral_samplers();
std::span<const SamplerRow> ode_samplers();
std::span<const SamplerRow> dpm_solver_samplers();
std::span<const SamplerRow> multistep_samplers();
std::span<const SamplerRow> sde_samplers();
std::span<const SamplerRow> uni_pc_samplers();
std::span<const SamplerRow> sa_solver_samplers();
std::span<const SamplerRow> cfg_pp_samplers();

/// All samplers, in the order in which to show them.
std::span<const SamplerRow> sampler_rows();

/// The sampler `name`, in any spelling that sampler_name() in names.h knows. Throws InvalidRequest
/// when it is unknown, naming the nearest three, or when another program means an algorithm by it
/// that is not here.
const SamplerRow& find_sampler(std::string_view name);

/// Runs a sampler; run.settings are used as they are. x: [B,4,h,w] fp32 at run.sigmas[0]; returns
/// the same at run.sigmas.back(). Throws Error when the list of noise levels does not fall, or is
/// negative or not finite.
Tensor sample(const SamplerRow& sampler, const SamplerRun& run, Tensor x,
              const OnStep& on_step = {});

}  // namespace fourstep
