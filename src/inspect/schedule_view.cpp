#include "inspect/schedule_view.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/fields_json.h"
#include "pipeline/sampling_plan.h"
#include "report/svg_plot.h"
#include "sampling/schedules.h"

namespace fourstep {

namespace {

ScheduleLevel level_of(double sigma, const TimestepOf& timestep_of) {
  if (sigma == 0) return {};
  return {sigma, timestep_of(sigma), -2 * std::log(sigma), std::nullopt};
}

std::string number_text(const std::optional<double>& number, const char* otherwise = "") {
  return number ? fmt::format("{:.6g}", *number) : otherwise;
}

std::string distance_text(double distance) { return fmt::format("{:.3f}", distance); }

/// "999 749 499 249 -> 0": the timesteps, and the sigma at the end.
std::string timesteps_text(const ScheduleView& view) {
  std::vector<double> timesteps;
  for (const ScheduleLevel& level : view.levels) timesteps.push_back(level.timestep.value_or(0));
  timesteps.pop_back();
  return fmt::format("{} -> {}", fmt::join(timesteps, " "), number_text(view.levels.back().sigma));
}

PlotSeries series_of(const ScheduleView& view) {
  PlotSeries series;
  series.name = view.schedule;
  for (size_t step = 0; step < view.levels.size(); ++step) {
    series.x.push_back(static_cast<double>(step));
    series.y.push_back(view.levels[step].sigma);
  }
  return series;
}

}  // namespace

ScheduleView view_schedule(const ResolvedRequest& request, const ModelFacts& model) {
  const SamplingPlan plan = plan_sampling(request.sampling, model.schedule);
  const std::vector<double> trained = trained_sigmas(model.traits, model.schedule);
  ScheduleView view;
  if (uses_schedule(request.sampling)) view.schedule = request.sampling.schedule;
  for (const double sigma : plan.sigmas) view.levels.push_back(level_of(sigma, plan.timestep_of));
  for (size_t step = 0; step + 1 < plan.sigmas.size(); ++step) {
    view.levels[step].distance = log_distance(plan.sigmas[step], trained);
  }
  view.distance = grid_distance(plan.sigmas, trained);
  return view;
}

std::vector<ScheduleView> view_all_schedules(const ResolvedRequest& request,
                                             const ModelFacts& model) {
  std::vector<ScheduleView> views;
  for (const ScheduleRow& row : schedule_rows()) {
    Request asked = request.written;
    asked.sampling.schedule = row.name;
    try {
      views.push_back(view_schedule(resolve(asked, model.traits), model));
    } catch (const InvalidRequest& refusal) {
      views.push_back({asked.sampling.schedule, {}, {}, refusal.what()});
    }
  }
  return views;
}

Table level_table(const ScheduleView& view) {
  Table table{{{"step", Align::kRight},
               {"sigma", Align::kRight},
               {"timestep", Align::kRight},
               {"log SNR", Align::kRight},
               {"from trained", Align::kRight}},
              {}};
  for (size_t step = 0; step < view.levels.size(); ++step) {
    const ScheduleLevel& level = view.levels[step];
    const bool is_end = step + 1 == view.levels.size();
    table.rows.push_back({is_end ? "end" : std::to_string(step + 1), number_text(level.sigma),
                          number_text(level.timestep), number_text(level.log_snr, "inf"),
                          level.distance ? distance_text(*level.distance) : ""});
  }
  return table;
}

Table schedule_table(const std::vector<ScheduleView>& views) {
  Table table{{{"schedule"},
               {"visited", Align::kRight},
               {"missed", Align::kRight},
               {"timesteps -> last sigma"}},
              {}};
  for (const ScheduleView& view : views) {
    if (!view.refusal.empty()) {
      table.rows.push_back({view.schedule, "", "", view.refusal});
      continue;
    }
    table.rows.push_back({view.schedule, distance_text(view.distance.visited),
                          distance_text(view.distance.missed), timesteps_text(view)});
  }
  return table;
}

nlohmann::ordered_json json_from(const ScheduleView& view) {
  nlohmann::ordered_json json{{"schedule", view.schedule}};
  if (!view.refusal.empty()) {
    json["refusal"] = view.refusal;
    return json;
  }
  json["distance"] = {{"visited", view.distance.visited}, {"missed", view.distance.missed}};
  json["levels"] = nlohmann::ordered_json::array();
  for (const ScheduleLevel& level : view.levels) {
    json["levels"].push_back({{"sigma", level.sigma},
                              {"timestep", json_from(level.timestep)},
                              {"log_snr", json_from(level.log_snr)},
                              {"distance", json_from(level.distance)}});
  }
  return json;
}

std::string schedule_svg(const std::vector<ScheduleView>& views, const ModelFacts& model) {
  LinePlot plot;
  plot.title = "noise levels";
  plot.x.label = "step";
  plot.y.label = "sigma";
  plot.y.is_log = true;
  for (const ScheduleView& view : views) {
    if (view.refusal.empty()) plot.series.push_back(series_of(view));
  }
  for (const double sigma : trained_sigmas(model.traits, model.schedule)) {
    plot.references.push_back(
        {fmt::format("t {}", nearest_timestep(model.schedule, sigma)), sigma});
  }
  return line_plot_svg(plot);
}

}  // namespace fourstep
