#include "guidance/guidance_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/text_tools.h"
#include "sampling/guidance.h"
#include "sampling/guidance_dynthresh.h"
#include "sampling/guidance_latent.h"
#include "sampling/guidance_skimmed.h"

namespace fourstep {

namespace {

using Options = GuidanceOptions;

bool has_color(const Options& o) {
  return o.brightness != 0 || o.contrast != 0 || o.saturation != 1 ||
         std::any_of(o.color_shift.begin(), o.color_shift.end(), [](double v) { return v != 0; });
}

bool is_neutral_list(const std::vector<double>& factors, size_t count) {
  return std::all_of(factors.begin(),
                     factors.begin() + static_cast<std::ptrdiff_t>(std::min(count, factors.size())),
                     [](double factor) { return factor == 1; });
}

bool has_freeu(const Options& o) { return !is_neutral_list(o.freeu, 4); }

/// The third number is no factor.
bool has_adm_guidance(const Options& o) { return !is_neutral_list(o.adm_guidance, 2); }

constexpr std::string_view kBothCombine = "both replace the combination of the two estimates";
constexpr std::string_view kApgFolds =
    "APG puts the whole guidance into one estimate and needs the plain combination";
constexpr std::string_view kOtherBase =
    "Perp-Neg guides from the empty prompt, the other from the negative prompt";

struct Refusal {
  std::string_view one, other, reason;
};

constexpr Refusal kRefusals[] = {
    {"rescale_cfg", "dynthresh", kBothCombine},
    {"rescale_cfg", "perp_neg", kBothCombine},
    {"rescale_cfg", "adaptive_cfg", kBothCombine},
    {"dynthresh", "perp_neg", kBothCombine},
    {"dynthresh", "adaptive_cfg", kBothCombine},
    {"perp_neg", "adaptive_cfg", kBothCombine},
    {"apg", "rescale_cfg", kApgFolds},
    {"apg", "dynthresh", kApgFolds},
    {"apg", "perp_neg", kApgFolds},
    {"apg", "adaptive_cfg", kApgFolds},
    {"skimmed_cfg", "perp_neg", kOtherBase},
    {"tcfg", "perp_neg", kOtherBase},
    {"fresca", "perp_neg", kOtherBase},
    {"cfg_zero_star", "perp_neg", kOtherBase},
    {"mahiro", "perp_neg", kOtherBase},
};

void check_pairs(const Options& options) {
  const auto& methods = guidance_methods();
  for (auto one = methods.begin(); one != methods.end(); ++one) {
    if (!one->is_on(options)) continue;
    for (auto other = one + 1; other != methods.end(); ++other) {
      const std::string_view reason = reason_against(one->name, other->name);
      if (reason.empty() || !other->is_on(options)) continue;
      throw InvalidRequest("{} and {} do not work together: {}; switch one off", one->name,
                           other->name, reason);
    }
  }
}

void check_length(const char* flag, const std::vector<double>& list, size_t length,
                  const char* example) {
  if (list.empty() || list.size() == length) return;
  throw InvalidRequest("{}: {} numbers, expected {}, for instance {}", flag, list.size(), length,
                       example);
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

void check_intervals(const Options& options) {
  std::vector<std::string> known = {"cfg"};
  for (const GuidanceMethod& method : guidance_methods()) {
    if (method.has_interval) known.emplace_back(method.name);
  }
  for (const auto& [name, interval] : parse_intervals(options.guidance_intervals)) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    throw InvalidRequest("--guidance-intervals: \"{}\" is not a method that has one{}", name,
                         did_you_mean(name, known));
  }
}

}  // namespace

const std::vector<GuidanceMethod>& guidance_methods() {
  static const std::vector<GuidanceMethod> kMethods = {
      {"sharpness", [](const Options& o) { return o.sharpness != 0; }, true, true},
      {"skimmed_cfg", [](const Options& o) { return o.skimmed_cfg != "off"; }, true, true},
      {"tcfg", [](const Options& o) { return o.tcfg; }, true, true},
      {"fresca", [](const Options& o) { return o.fresca_low != 1 || o.fresca_high != 1; }, true,
       true},
      {"apg", [](const Options& o) { return o.apg; }, true, true},
      {"rescale_cfg", [](const Options& o) { return o.rescale_cfg != 0; }, true, true},
      {"dynthresh", [](const Options& o) { return o.dynthresh_mimic != 0 && o.dynthresh_phi != 0; },
       true, true},
      {"perp_neg", [](const Options& o) { return o.perp_neg != 0; }, true, true},
      {"adaptive_cfg", [](const Options& o) { return o.adaptive_cfg != 0; }, true, true},
      {"cfg_zero_star", [](const Options& o) { return o.cfg_zero_star; }, true, true},
      {"cfg_norm", [](const Options& o) { return o.cfg_norm != 0; }, true, true},
      {"mahiro", [](const Options& o) { return o.mahiro; }, true, true},
      {"pag", [](const Options& o) { return o.pag_scale != 0; }, false, true},
      {"seg", [](const Options& o) { return o.seg_scale != 0; }, false, true},
      {"slg", [](const Options& o) { return o.slg_scale != 0; }, false, true},
      {"sag", [](const Options& o) { return o.sag_scale != 0; }, false, true},
      {"epsilon_scaling", [](const Options& o) { return o.epsilon_scaling != 1; }, false, true},
      {"diffusion_cg",
       [](const Options& o) { return o.cg_recenter != 0 || o.cg_normalization != 0; }, false, true},
      {"vectorscope", has_color, false, true},
      {"nag", has_nag, false, true},
      {"freeu", has_freeu, false, true},
      {"adm_guidance", has_adm_guidance, false, false},
  };
  return kMethods;
}

std::string_view reason_against(std::string_view one, std::string_view other) {
  for (const Refusal& refusal : kRefusals) {
    const bool is_it = (refusal.one == one && refusal.other == other) ||
                       (refusal.one == other && refusal.other == one);
    if (is_it) return refusal.reason;
  }
  return {};
}

void validate_guidance(const Options& options) {
  check_length("--freeu", options.freeu, 4, "1.3,1.4,0.9,0.2");
  check_length("--adm-guidance", options.adm_guidance, 3, "1.5,0.8,0.3");
  check_length("--color-shift", options.color_shift, 3, "0.1,0,-0.1");
  if (options.skimmed_cfg != "off") skim_mode_from_name(options.skimmed_cfg);
  skim_distance_from_name(options.skim_distance);
  scale_at({options.dynthresh_mimic_curve}, 1, 0);
  scale_at({options.dynthresh_cfg_curve}, 1, 0);
  check_vectorscope_names({.method = options.color_method, .scaling = options.color_scaling});
  check_intervals(options);
  check_pairs(options);
}

bool is_method_on(const Options& options, std::string_view name) {
  const auto& methods = guidance_methods();
  const auto found = std::find_if(methods.begin(), methods.end(),
                                  [&](const GuidanceMethod& one) { return one.name == name; });
  return found != methods.end() && found->is_on(options);
}

bool is_cfg_off(const Options& options, double cfg_scale) {
  if (options.cfg_steps.empty()) return is_neutral_scale(cfg_scale);
  return std::all_of(options.cfg_steps.begin(), options.cfg_steps.end(), is_neutral_scale);
}

double highest_cfg_scale(const Options& options, double cfg_scale) {
  const std::vector<double>& steps = options.cfg_steps;
  return steps.empty() ? cfg_scale : *std::max_element(steps.begin(), steps.end());
}

bool has_nag(const Options& options) { return options.nag_scale > 1 && options.nag_alpha > 0; }

std::vector<std::string> methods_without_effect(const Options& options, double cfg_scale) {
  std::vector<std::string> names;
  if (!is_cfg_off(options, cfg_scale)) return names;
  for (const GuidanceMethod& method : guidance_methods()) {
    if (method.needs_cfg && method.is_on(options)) names.emplace_back(method.name);
  }
  return names;
}

PercentInterval interval_of(const Options& options, std::string_view method) {
  const auto intervals = parse_intervals(options.guidance_intervals);
  const auto found = intervals.find(std::string(method));
  return found == intervals.end() ? PercentInterval{} : found->second;
}

}  // namespace fourstep
