#pragma once
// The part of a request that guides sampling beyond one CFG scale, and the row of methods. Every
// default is neutral: a method at its default is not there at all. docs/sampling.md has the table
// of methods. A new method is a file of its own beside method.h, a member and its visit here, and a
// line in the row of guidance_options.cpp.

#include <string>
#include <string_view>
#include <vector>

#include "guidance/adm_guidance.h"
#include "guidance/apg.h"
#include "guidance/cfg_norm.h"
#include "guidance/cfg_zero_star.h"
#include "guidance/degraded_guidance.h"
#include "guidance/diffusion_cg.h"
#include "guidance/dynthresh.h"
#include "guidance/epsilon_scaling.h"
#include "guidance/fooocus.h"
#include "guidance/freeu.h"
#include "guidance/fresca.h"
#include "guidance/mahiro.h"
#include "guidance/method.h"
#include "guidance/nag.h"
#include "guidance/ngms.h"
#include "guidance/perp_neg.h"
#include "guidance/rescale_cfg.h"
#include "guidance/sag.h"
#include "guidance/skimmed_cfg.h"
#include "guidance/tcfg.h"
#include "guidance/vectorscope.h"

namespace fourstep {

struct GuidanceOptions {
  std::vector<double> cfg_steps;  ///< CFG scale of each step; the last one goes on
  std::string intervals;          ///< "NAME:START:END;...", see interval_of()

  NgmsOptions ngms;
  SharpnessOptions sharpness;
  SkimOptions skimmed_cfg;
  TcfgOptions tcfg;
  FrescaOptions fresca;
  ApgOptions apg;
  RescaleCfgOptions rescale_cfg;
  DynthreshOptions dynthresh;
  PerpNegOptions perp_neg;
  AdaptiveCfgOptions adaptive_cfg;
  CfgZeroStarOptions cfg_zero_star;
  CfgNormOptions cfg_norm;
  MahiroOptions mahiro;
  PagOptions pag;
  SegOptions seg;
  SlgOptions slg;
  SagOptions sag;
  EpsilonScalingOptions epsilon_scaling;
  DiffusionCgOptions diffusion_cg;
  VectorscopeOptions vectorscope;
  NagOptions nag;
  FreeUMethodOptions freeu;
  AdmGuidanceOptions adm_guidance;

  bool operator==(const GuidanceOptions&) const = default;
};

/// visitor_of(heading) gives the visitor of the fields below a heading, in the order of
/// docs/sampling.md's table.
template <typename Options, typename VisitorOf>
void visit_guidance_groups(Options& o, VisitorOf&& visitor_of) {
  using Info = FieldInfo;
  auto&& cfg = visitor_of("Guidance by CFG");
  cfg(Info{"cfg_steps", "CFG scale of each step instead of cfg_scale; the last one goes on", "",
           -100, 100},
      o.cfg_steps);
  cfg(Info{"guidance_intervals",
           "where methods act, as NAME:START:END in shares of the training steps, several "
           "separated by ';': \"cfg:0:0.8;pag:0.1:0.6\""},
      o.intervals);
  visit_options(o.ngms, cfg);
  visit_options(o.rescale_cfg, cfg);
  visit_options(o.skimmed_cfg, cfg);
  visit_options(o.apg, cfg);
  visit_options(o.tcfg, cfg);
  visit_options(o.fresca, cfg);

  auto&& combination = visitor_of("Guidance, how the estimates combine");
  visit_options(o.dynthresh, combination);
  visit_options(o.perp_neg, combination);
  visit_options(o.sharpness, combination);
  visit_options(o.adaptive_cfg, combination);
  visit_options(o.cfg_zero_star, combination);
  visit_options(o.cfg_norm, combination);
  visit_options(o.mahiro, combination);
  visit_options(o.epsilon_scaling, combination);

  auto&& network = visitor_of("Guidance inside the network");
  visit_options(o.nag, network);
  visit_options(o.pag, network);
  visit_options(o.seg, network);
  visit_options(o.slg, network);
  visit_options(o.sag, network);
  visit_options(o.freeu, network);
  visit_options(o.adm_guidance, network);

  auto&& color = visitor_of("Contrast and colour");
  visit_options(o.diffusion_cg, color);
  visit_options(o.vectorscope, color);
}

template <typename Options, typename Visitor>
void visit_guidance_fields(Options& options, Visitor&& visit) {
  visit_guidance_groups(
      options, [&](const char*) -> auto& { return visit; });
}

/// One method with its place in the options.
struct GuidanceMethod : MethodFacts {
  bool (*is_on)(const GuidanceOptions&);
  void (*check)(const GuidanceOptions&);  ///< throws InvalidRequest for lists of a wrong length
  /// Throws InvalidRequest where it is on and names a layer that the UNet does not have.
  void (*check_network)(const GuidanceOptions&, const UNetConfig&);
  std::unique_ptr<GuidanceStage> (*make_stage)(const GuidanceOptions&, const GuidanceRun&);

  bool needs_cfg() const { return need == StageNeed::kCfg; }  ///< does nothing at CFG scale 1
};

/// All methods in the order in which they act.
const std::vector<GuidanceMethod>& guidance_methods();

/// Why two methods cannot work together; empty when they can.
std::string_view reason_against(std::string_view one, std::string_view other);

/// Throws InvalidRequest for two methods that cannot work together, lists of a wrong length and
/// unknown intervals.
void validate_guidance(const GuidanceOptions& options);

/// Throws InvalidRequest where an option names a layer that the UNet does not have.
void check_guided_layers(const GuidanceOptions& options, const UNetConfig& config);

/// name: of guidance_methods(); others are off.
bool is_method_on(const GuidanceOptions& options, std::string_view name);
inline bool has_nag(const GuidanceOptions& options) { return options.nag.is_on(); }

/// Whether the CFG scale is 1 at every step. cfg_scale: the request's.
bool is_cfg_off(const GuidanceOptions& options, double cfg_scale);

/// The highest CFG scale of all steps.
double highest_cfg_scale(const GuidanceOptions& options, double cfg_scale);

/// Whether uncond is needed at any step.
bool needs_uncond(const GuidanceOptions& options, double cfg_scale, bool sampler_needs_it);

/// Names of methods that are on and do nothing because CFG is off.
std::vector<std::string> methods_without_effect(const GuidanceOptions& options, double cfg_scale);

/// Shares of the training steps.
struct PercentInterval {
  double start = 0, end = 1;
};

/// The interval that `intervals` gives a method ("cfg": CFG itself); 0..1 where it does not name
/// it.
PercentInterval interval_of(const GuidanceOptions& options, std::string_view method);

/// The same as noise levels.
SigmaInterval sigma_interval(const GuidanceOptions& options, const NoiseSchedule& schedule,
                             std::string_view method);

}  // namespace fourstep
