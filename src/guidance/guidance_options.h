#pragma once
// The part of a request that guides sampling beyond one CFG scale. Every default is neutral: a method at its default
// is not there at all. docs/sampling.md has the table of methods.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/fields.h"

namespace fourstep {

struct GuidanceOptions {
  std::vector<double> cfg_steps;
  std::string guidance_intervals;

  double rescale_cfg = 0;
  std::string skimmed_cfg = "off";
  double skim_scale = 7;
  double skim_negative_scale = 2;
  bool skim_full_negative = false;
  bool skim_without_filter = false;
  std::string skim_distance = "linear_distance";
  double skim_flip_at = 0.3;
  bool skim_flip_reverse = false;
  double dynthresh_mimic = 0;
  double dynthresh_percentile = 1;
  double dynthresh_phi = 1;
  bool dynthresh_global = false;
  bool dynthresh_from_zero = false;
  bool dynthresh_std = false;
  std::string dynthresh_mimic_curve = "Constant";
  double dynthresh_mimic_min = 0;
  std::string dynthresh_cfg_curve = "Constant";
  double dynthresh_cfg_min = 0;
  double dynthresh_curve_value = 4;
  bool apg = false;
  double apg_eta = 1;
  double apg_threshold = 5;
  double apg_momentum = 0;
  bool tcfg = false;
  double fresca_low = 1;
  double fresca_high = 1;
  int64_t fresca_cutoff = 20;
  bool cfg_zero_star = false;
  double cfg_norm = 0;
  bool mahiro = false;
  double perp_neg = 0;
  double epsilon_scaling = 1;
  double sharpness = 0;
  double adaptive_cfg = 0;

  double nag_scale = 1;
  double nag_tau = 2.5;
  double nag_alpha = 0.5;
  double nag_end_sigma = 0;
  std::string nag_prompt;
  double pag_scale = 0;
  std::string pag_layers = "mid";
  double seg_scale = 0;
  double seg_sigma = 100;
  std::string seg_layers = "mid";
  double slg_scale = 0;
  std::string slg_layers = "mid";
  double sag_scale = 0;
  double sag_sigma = 2;
  double sag_threshold = 1;
  std::vector<double> freeu;
  int64_t freeu_version = 2;
  std::vector<double> adm_guidance;

  double cg_recenter = 0;
  double cg_normalization = 0;
  double brightness = 0;
  double contrast = 0;
  double saturation = 1;
  std::vector<double> color_shift;
  std::string color_method = "Straight Abs.";
  std::string color_scaling = "Flat";

  bool operator==(const GuidanceOptions&) const = default;
};

// visit_guidance_fields() in the parts of docs/sampling.md's table.

template <typename Options, typename Visitor>
void visit_cfg_fields(Options& o, Visitor&& visit) {
  using Info = FieldInfo;
  visit(Info{"cfg_steps", "CFG scale of each step instead of cfg_scale; the last one goes on", "",
             -100, 100},
        o.cfg_steps);
  visit(Info{"guidance_intervals",
             "where methods act, as NAME:START:END in shares of the training steps, several "
             "separated by ';': \"cfg:0:0.8;pag:0.1:0.6\""},
        o.guidance_intervals);
  visit(Info{"rescale_cfg", "share of CFG's result brought to the spread of the prompt's; 0.7", "",
             0, 1},
        o.rescale_cfg);
  visit(Info{"skimmed_cfg",
             "where CFG overshoots: off, single, replace, linear, dual, difference or timed_flip"},
        o.skimmed_cfg);
  visit(Info{"skim_scale", "scale that skimming falls back to", "", 0, 100}, o.skim_scale);
  visit(Info{"skim_negative_scale", "the same where uncond overshoots (dual)", "", 0, 100},
        o.skim_negative_scale);
  visit(Info{"skim_full_negative", "skim uncond down to scale 0 (single)"}, o.skim_full_negative);
  visit(Info{"skim_without_filter", "skim also where the result crosses the noisy latent"},
        o.skim_without_filter);
  visit(Info{"skim_distance",
             "linear_distance, squared_distance, root_distance or absolute_sum (difference)"},
        o.skim_distance);
  visit(Info{"skim_flip_at", "share of the steps before the filter changes (timed_flip)", "", 0, 1},
        o.skim_flip_at);
  visit(Info{"skim_flip_reverse", "the other way round (timed_flip)"}, o.skim_flip_reverse);
  visit(Info{"apg", "adaptive projected guidance"}, o.apg);
  visit(Info{"apg_eta", "its weight of the part parallel to the prompt's estimate", "", -10, 10},
        o.apg_eta);
  visit(Info{"apg_threshold", "longest guidance; 0: any", "", 0, 1000}, o.apg_threshold);
  visit(Info{"apg_momentum", "weight of earlier steps' guidance", "", -5, 1}, o.apg_momentum);
  visit(Info{"tcfg", "keep of uncond only what lies along both estimates"}, o.tcfg);
  visit(Info{"fresca_low", "factor on low frequencies of guidance", "", 0, 10}, o.fresca_low);
  visit(Info{"fresca_high", "factor on high ones; 1.25", "", 0, 10}, o.fresca_high);
  visit(Info{"fresca_cutoff", "where high ones begin", "bins", 1, 10000}, o.fresca_cutoff);
}

template <typename Options, typename Visitor>
void visit_combination_fields(Options& o, Visitor&& visit) {
  using Info = FieldInfo;
  visit(Info{"dynthresh_mimic", "dynamic thresholding to the range of this CFG scale; 0: off", "",
             0, 100},
        o.dynthresh_mimic);
  visit(Info{"dynthresh_percentile", "share of the values that counts as range", "", 0, 1},
        o.dynthresh_percentile);
  visit(Info{"dynthresh_phi", "share of its result", "", 0, 1}, o.dynthresh_phi);
  visit(Info{"dynthresh_global", "one range for all channels"}, o.dynthresh_global);
  visit(Info{"dynthresh_from_zero", "scale around zero, not around the mean"},
        o.dynthresh_from_zero);
  visit(Info{"dynthresh_std", "ranges are standard deviations"}, o.dynthresh_std);
  visit(Info{"dynthresh_mimic_curve",
             "mimicked scale over the steps: Constant, Linear Down, Cosine Up, Power Up, ..."},
        o.dynthresh_mimic_curve);
  visit(Info{"dynthresh_mimic_min", "its lower end", "", 0, 100}, o.dynthresh_mimic_min);
  visit(Info{"dynthresh_cfg_curve", "the same for the CFG scale"}, o.dynthresh_cfg_curve);
  visit(Info{"dynthresh_cfg_min", "its lower end", "", 0, 100}, o.dynthresh_cfg_min);
  visit(Info{"dynthresh_curve_value", "power or repetitions of both curves", "", 0, 100},
        o.dynthresh_curve_value);
  visit(Info{"perp_neg", "Perp-Neg with this weight of the negative prompt; 0: off", "", 0, 100},
        o.perp_neg);
  visit(Info{"sharpness", "Fooocus's sharpness; 2", "", 0, 30}, o.sharpness);
  visit(Info{"adaptive_cfg", "Fooocus's adaptive CFG above this scale, 7; 0: off", "", 0, 100},
        o.adaptive_cfg);
  visit(Info{"cfg_zero_star", "fit uncond to the prompt's estimate first"}, o.cfg_zero_star);
  visit(Info{"cfg_norm", "no position longer than the prompt's estimate, times this; 0: off", "", 0,
             100},
        o.cfg_norm);
  visit(Info{"mahiro", "lean towards the prompt where both estimates agree"}, o.mahiro);
  visit(Info{"epsilon_scaling", "divisor of the noise estimate; 1.005", "", 0.5, 1.5},
        o.epsilon_scaling);
}

template <typename Options, typename Visitor>
void visit_attention_fields(Options& o, Visitor&& visit) {
  using Info = FieldInfo;
  visit(Info{"nag_scale",
             "normalized attention guidance: a negative prompt at any CFG scale; 3; 1: off", "", 0,
             100},
        o.nag_scale);
  visit(Info{"nag_tau", "longest result as a multiple of the prompt's own", "", 0, 100}, o.nag_tau);
  visit(Info{"nag_alpha", "share of its result", "", 0, 1}, o.nag_alpha);
  visit(Info{"nag_end_sigma", "no NAG below this noise level", "sigma", 0, 1000}, o.nag_end_sigma);
  visit(Info{.name = "nag_prompt",
             .help = "what NAG leads away from; the negative prompt when not given",
             .is_prose = true},
        o.nag_prompt);
  visit(Info{"pag_scale", "perturbed attention guidance; 3; 0: off; one network call a step", "", 0,
             100},
        o.pag_scale);
  visit(Info{"pag_layers", "where: mid, down.2.1, up.0, ...; several separated by ','"},
        o.pag_layers);
  visit(
      Info{"seg_scale", "smoothed energy guidance; 3; 0: off; one network call a step", "", 0, 100},
      o.seg_scale);
  visit(Info{"seg_sigma", "blur of its queries; from 9999 on their mean", "positions", 0.01, 1e6},
        o.seg_sigma);
  visit(Info{"seg_layers", "as pag_layers"}, o.seg_layers);
  visit(Info{"slg_scale", "guidance away from skipped layers; 0: off; one network call a step", "",
             0, 100},
        o.slg_scale);
  visit(Info{"slg_layers", "as pag_layers"}, o.slg_layers);
  visit(Info{"sag_scale", "self-attention guidance; 0.5; 0: off; two network calls a step", "", -2,
             5},
        o.sag_scale);
  visit(Info{"sag_sigma", "its blur", "latents", 0.01, 10}, o.sag_sigma);
  visit(Info{"sag_threshold", "attention from which it blurs", "", 0, 100}, o.sag_threshold);
  visit(Info{"freeu", "FreeU's b1,b2,s1,s2; 1.3,1.4,0.9,0.2", "", 0, 10}, o.freeu);
  visit(Info{"freeu_version", "1 or 2", "", 1, 2}, o.freeu_version);
  visit(Info{"adm_guidance",
             "Fooocus's size guidance: factors for prompt and negative prompt, and share of the "
             "steps; 1.5,0.8,0.3",
             "", 0, 3},
        o.adm_guidance);
}

template <typename Options, typename Visitor>
void visit_latent_fields(Options& o, Visitor&& visit) {
  using Info = FieldInfo;
  visit(Info{"cg_recenter", "diffusion CG: takes away the channels' means", "", 0, 1},
        o.cg_recenter);
  visit(Info{"cg_normalization", "diffusion CG: stretches channels to the full range", "", 0, 1},
        o.cg_normalization);
  visit(Info{"brightness", "of the latent, on every step", "", -10, 10}, o.brightness);
  visit(Info{"contrast", "the same", "", -10, 10}, o.contrast);
  visit(Info{"saturation", "the same; 1: none", "", 0, 10}, o.saturation);
  visit(Info{"color_shift", "shift to red,green,blue", "", -10, 10}, o.color_shift);
  visit(Info{"color_method", "what these add: Straight, Straight Abs., Cross or Ones"},
        o.color_method);
  visit(Info{"color_scaling", "over the steps: Flat, Cos, Sin, 1 - Cos or 1 - Sin"},
        o.color_scaling);
}

/// visitor_of(heading) gives the visitor of the fields below a heading.
template <typename Options, typename VisitorOf>
void visit_guidance_groups(Options& options, VisitorOf&& visitor_of) {
  visit_cfg_fields(options, visitor_of("Guidance by CFG"));
  visit_combination_fields(options, visitor_of("Guidance, how the estimates combine"));
  visit_attention_fields(options, visitor_of("Guidance inside the network"));
  visit_latent_fields(options, visitor_of("Contrast and colour"));
}

template <typename Options, typename Visitor>
void visit_guidance_fields(Options& options, Visitor&& visit) {
  visit_guidance_groups(
      options, [&](const char*) -> auto& { return visit; });
}

/// One method as the rules about methods see it.
struct GuidanceMethod {
  std::string_view name;  ///< as in guidance_intervals
  bool (*is_on)(const GuidanceOptions&);
  bool needs_cfg;     ///< does nothing at CFG scale 1
  bool has_interval;  ///< guidance_intervals may name it
};

/// All methods in the order in which they act.
const std::vector<GuidanceMethod>& guidance_methods();

/// Why two methods cannot work together; empty when they can.
std::string_view reason_against(std::string_view one, std::string_view other);

/// Throws InvalidRequest for two methods that cannot work together, lists of a wrong length, unknown words and
/// intervals.
void validate_guidance(const GuidanceOptions& options);

/// name: of guidance_methods(); others are off.
bool is_method_on(const GuidanceOptions& options, std::string_view name);

/// Whether the CFG scale is 1 at every step. cfg_scale: the request's.
bool is_cfg_off(const GuidanceOptions& options, double cfg_scale);

/// The highest CFG scale of all steps.
double highest_cfg_scale(const GuidanceOptions& options, double cfg_scale);

/// Whether NAG acts.
bool has_nag(const GuidanceOptions& options);

/// Names of methods that are on and do nothing because CFG is off.
std::vector<std::string> methods_without_effect(const GuidanceOptions& options, double cfg_scale);

/// Shares of the training steps.
struct PercentInterval {
  double start = 0, end = 1;
};

/// The interval that guidance_intervals gives a method; 0..1 where it does not name it.
PercentInterval interval_of(const GuidanceOptions& options, std::string_view method);

}  // namespace fourstep
