#pragma once
// The noise levels that a request will be sampled at, as a table, JSON and a plot.

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/model_facts.h"
#include "report/table.h"
#include "request/resolve.h"
#include "sampling/sigma_lists.h"

namespace fourstep {

/// Where a step begins; the last of a list is where the last step ends.
struct ScheduleLevel {
  double sigma = 0;
  std::optional<double> timestep;  ///< that the network is told; none at sigma 0
  std::optional<double> log_snr;   ///< log(1 / sigma^2), natural; none at sigma 0
  std::optional<double> distance;  ///< log_distance() to the trained levels; none at the end
};

struct ScheduleView {
  std::string schedule;               ///< "" for explicit lists and A1111's timestep samplers
  std::vector<ScheduleLevel> levels;  ///< steps + 1
  GridDistance distance;              ///< from DMD2's levels
  std::string refusal;                ///< why there are no levels, in one sentence; else empty
};

/// Throws InvalidRequest for settings that cannot work.
ScheduleView view_schedule(const ResolvedRequest& request, const ModelFacts& model);

/// One of each schedule under the request's other settings; those that cannot be made say why.
std::vector<ScheduleView> view_all_schedules(const ResolvedRequest& request,
                                             const ModelFacts& model);

/// One row per level.
Table level_table(const ScheduleView& view);

/// One row per schedule: its timesteps and its distance.
Table schedule_table(const std::vector<ScheduleView>& views);

nlohmann::ordered_json json_from(const ScheduleView& view);

/// Sigma over the step, logarithmic, with the levels that the model was distilled at as lines.
/// Schedules without levels are left out; a level of 0 has no place on the axis.
std::string schedule_svg(const std::vector<ScheduleView>& views, const ModelFacts& model);

}  // namespace fourstep
