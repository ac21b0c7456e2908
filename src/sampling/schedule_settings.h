#pragma once
// What a schedule may be told besides the number of steps. A value that is not set is the program's
// own default for that schedule; each schedule looks only at the values it knows.

#include <optional>

#include "base/dialect.h"
#include "sampling/sigma_lists.h"
#include "sampling/timestep_lists.h"

namespace fourstep {

/// For which model a table of noise levels was found (align_your_steps and its relatives).
enum class TabledModel { kSdxl, kSd15 };

struct ScheduleSettings {
  Dialect dialect = Dialect::kFourstep;  ///< whose list to make where programs differ by one name

  /// The range of noise levels; not set: the model's. For karras, exponential, polyexponential,
  /// kl_optimal, laplace, linear_quadratic, A1111's beta, and through its timesteps normal and
  /// sgm_uniform.
  std::optional<double> sigma_min = {}, sigma_max = {};
  std::optional<double> rho = {};          ///< karras 7, polyexponential 1
  std::optional<double> alpha = {};        ///< beta 0.6
  std::optional<double> beta = {};         ///< beta 0.6, laplace 0.5
  std::optional<double> mu = {};           ///< laplace 0
  std::optional<double> coefficient = {};  ///< gits 1.20: 0.80, 0.85, ..., 1.50
  VpCurve vp = {};
  TabledModel model = TabledModel::kSdxl;

  /// The share of the way to go, 0..1, of ComfyUI's align_your_steps, gits and sd_turbo nodes and
  /// of lcm.
  double denoise = 1;
  /// Makes one step more and leaves out the last but one number, as some samplers are run (see
  /// SamplerRow::discards_penultimate()).
  bool discard_penultimate = false;

  // diffusers
  Spacing spacing =
      Spacing::kLeading;  ///< what karras, exponential and beta remap (Euler schedulers)
  SolverKind solver = SolverKind::kEuler;
  int original_steps = 50;  ///< lcm: how many timesteps the model was distilled on
};

}  // namespace fourstep
