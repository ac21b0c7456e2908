#pragma once
// Which noise levels to sample at, by name. `schedule_rows` lists the names; what a name means to
// ComfyUI, to A1111 and Forge, and to diffusers may differ, so the settings say whose list to make.
// The lists themselves are in sigma_lists.h, table_schedules.h, schedule_tables.h and
// timestep_lists.h. A new schedule is one function there, one row in the table and its test.

#include <span>
#include <string_view>
#include <vector>

#include "sampling/noise_schedule.h"
#include "sampling/schedule_settings.h"
#include "sampling/sigma_lists.h"
#include "sampling/table_schedules.h"

namespace fourstep {

using ScheduleFunction = std::vector<double> (*)(const NoiseSchedule& schedule, int steps,
                                                 const ScheduleSettings& settings);

/// What other programs call a schedule, as far as they mean the same list (names.h).
struct ScheduleNames {
  std::string_view a1111 = {};   ///< one label, of A1111 and Forge; it is written into images
  std::string_view others = {};  ///< of other programs, separated by ';'
};

struct ScheduleRow {
  std::string_view name;
  ScheduleFunction function;
  std::string_view help;  ///< one line for lists of choices
  ScheduleNames names = {};
  ScheduleFunction a1111 = nullptr;      ///< where A1111 and Forge mean another list
  ScheduleFunction diffusers = nullptr;  ///< where diffusers does
};

/// All schedules, in the order in which to show them.
std::span<const ScheduleRow> schedule_rows();

/// The schedule `name`, in any spelling that schedule_name() in names.h knows. Throws
/// InvalidRequest when it is unknown, naming the nearest three, or when another program means a
/// list by it that is not here.
const ScheduleRow& find_schedule(std::string_view name);

/// The schedule `name`, as find_schedule(), for a number of steps: normally
/// steps + 1 falling noise levels, the last 0. Fewer or more numbers: ddim_uniform, beta, beta57,
/// beta_1_1, laplace, sd_turbo with a denoise below 1. Not ending in 0: laplace, A1111's
/// kl_optimal.
/// Throws InvalidRequest when the name is unknown (naming the nearest three), steps is not in
/// 1..1000, or a setting is out of its range.
std::vector<double> make_sigmas(std::string_view name, const NoiseSchedule& schedule, int steps,
                                const ScheduleSettings& settings = {});

}  // namespace fourstep
