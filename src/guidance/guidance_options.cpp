#include "guidance/guidance_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text_tools.h"

namespace fourstep {

namespace {

/// The method whose options are this member.
template <auto kMember>
GuidanceMethod method_of() {
  using Own = std::remove_cvref_t<decltype(std::declval<const GuidanceOptions&>().*kMember)>;
  using All = GuidanceOptions;
  return {Own::facts(), [](const All& o) { return (o.*kMember).is_on(); },
          [](const All& o) {
            if constexpr (requires(Own own) { own.check(); }) (o.*kMember).check();
          },
          [](const All& o, const UNetConfig& config) {
            if constexpr (requires(Own own) { own.check_network(config); }) {
              if ((o.*kMember).is_on()) (o.*kMember).check_network(config);
            }
          },
          [](const All& o, const GuidanceRun& run) { return (o.*kMember).make_stage(run); }};
}

constexpr std::string_view kBothCombine = "both replace the combination of the two estimates";

std::string_view reason_of(const GuidanceMethod& one, const GuidanceMethod& other) {
  if (one.replaces_combination && other.replaces_combination) return kBothCombine;
  for (const auto& [here, there] : {std::pair{&one, &other}, std::pair{&other, &one}}) {
    for (const Exclusion& exclusion : here->excludes) {
      if (exclusion.other == there->name) return exclusion.reason;
    }
  }
  return {};
}

void check_pairs(const GuidanceOptions& options) {
  const auto& methods = guidance_methods();
  for (auto one = methods.begin(); one != methods.end(); ++one) {
    if (!one->is_on(options)) continue;
    for (auto other = one + 1; other != methods.end(); ++other) {
      const std::string_view reason = reason_of(*one, *other);
      if (reason.empty() || !other->is_on(options)) continue;
      throw InvalidRequest("{} and {} do not work together: {}; switch one off", one->name,
                           other->name, reason);
    }
  }
}

double share(const std::string& text) {
  double value = 0;
  value_from_text(FieldInfo{"guidance_intervals", "", "", 0, 1}, text, value);
  return value;
}

std::map<std::string, PercentInterval> parse_intervals(const std::string& text) {
  std::map<std::string, PercentInterval> intervals;
  for (const std::string& item : split_text(text, ';')) {
    const std::vector<std::string> parts = split_text(item, ':');
    if (parts.size() != 3) {
      throw InvalidRequest("--guidance-intervals: \"{}\" is not NAME:START:END, as pag:0:0.6",
                           item);
    }
    const PercentInterval interval{share(parts[1]), share(parts[2])};
    if (interval.start > interval.end) {
      throw InvalidRequest("--guidance-intervals: \"{}\" ends before it starts", item);
    }
    intervals[parts[0]] = interval;
  }
  return intervals;
}

void check_intervals(const GuidanceOptions& options) {
  std::vector<std::string> known = {"cfg"};
  for (const GuidanceMethod& method : guidance_methods()) {
    if (method.has_interval) known.emplace_back(method.name);
  }
  for (const auto& [name, interval] : parse_intervals(options.intervals)) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    throw InvalidRequest("--guidance-intervals: \"{}\" is not a method that has one{}", name,
                         did_you_mean(name, known));
  }
}

const GuidanceMethod* find_method(std::string_view name) {
  const auto& methods = guidance_methods();
  const auto found = std::find_if(methods.begin(), methods.end(),
                                  [&](const GuidanceMethod& one) { return one.name == name; });
  return found == methods.end() ? nullptr : &*found;
}

}  // namespace

const std::vector<GuidanceMethod>& guidance_methods() {
  using O = GuidanceOptions;
  static const std::vector<GuidanceMethod> kMethods = {
      method_of<&O::ngms>(),          method_of<&O::sharpness>(),
      method_of<&O::skimmed_cfg>(),   method_of<&O::tcfg>(),
      method_of<&O::fresca>(),        method_of<&O::apg>(),
      method_of<&O::rescale_cfg>(),   method_of<&O::dynthresh>(),
      method_of<&O::perp_neg>(),      method_of<&O::adaptive_cfg>(),
      method_of<&O::cfg_zero_star>(), method_of<&O::cfg_norm>(),
      method_of<&O::mahiro>(),        method_of<&O::pag>(),
      method_of<&O::seg>(),           method_of<&O::slg>(),
      method_of<&O::sag>(),           method_of<&O::epsilon_scaling>(),
      method_of<&O::diffusion_cg>(),  method_of<&O::vectorscope>(),
      method_of<&O::nag>(),           method_of<&O::freeu>(),
      method_of<&O::adm_guidance>(),
  };
  return kMethods;
}

std::string_view reason_against(std::string_view one, std::string_view other) {
  const GuidanceMethod *first = find_method(one), *second = find_method(other);
  return first && second && first != second ? reason_of(*first, *second) : std::string_view();
}

void validate_guidance(const GuidanceOptions& options) {
  for (const GuidanceMethod& method : guidance_methods()) method.check(options);
  check_intervals(options);
  check_pairs(options);
}

void check_guided_layers(const GuidanceOptions& options, const UNetConfig& config) {
  for (const GuidanceMethod& method : guidance_methods()) method.check_network(options, config);
}

bool is_method_on(const GuidanceOptions& options, std::string_view name) {
  const GuidanceMethod* method = find_method(name);
  return method && method->is_on(options);
}

bool is_cfg_off(const GuidanceOptions& options, double cfg_scale) {
  if (options.cfg_steps.empty()) return is_neutral_scale(cfg_scale);
  return std::all_of(options.cfg_steps.begin(), options.cfg_steps.end(), is_neutral_scale);
}

double highest_cfg_scale(const GuidanceOptions& options, double cfg_scale) {
  const std::vector<double>& steps = options.cfg_steps;
  return steps.empty() ? cfg_scale : *std::max_element(steps.begin(), steps.end());
}

bool needs_uncond(const GuidanceOptions& options, double cfg_scale, bool sampler_needs_it) {
  if (sampler_needs_it || !is_cfg_off(options, cfg_scale)) return true;
  const auto& methods = guidance_methods();
  return std::any_of(methods.begin(), methods.end(), [&](const GuidanceMethod& method) {
    return method.need == StageNeed::kUncond && method.is_on(options);
  });
}

std::vector<std::string> methods_without_effect(const GuidanceOptions& options, double cfg_scale) {
  std::vector<std::string> names;
  if (!is_cfg_off(options, cfg_scale)) return names;
  for (const GuidanceMethod& method : guidance_methods()) {
    if (method.needs_cfg() && method.is_on(options)) names.emplace_back(method.name);
  }
  return names;
}

PercentInterval interval_of(const GuidanceOptions& options, std::string_view method) {
  const auto intervals = parse_intervals(options.intervals);
  const auto found = intervals.find(std::string(method));
  return found == intervals.end() ? PercentInterval{} : found->second;
}

SigmaInterval sigma_interval(const GuidanceOptions& options, const NoiseSchedule& schedule,
                             std::string_view method) {
  const PercentInterval percent = interval_of(options, method);
  return {sigma_from_percent(schedule, percent.start), sigma_from_percent(schedule, percent.end)};
}

}  // namespace fourstep
