#pragma once
// Options that switch one guidance method on, for the tests of all methods.

#include <string>
#include <vector>

#include "guidance/guidance_options.h"

namespace fourstep::testing {

/// How a method is switched on, and how its side settings are moved while it stays off.
struct MethodCase {
  std::string name;  ///< as in guidance_methods()
  void (*switch_on)(GuidanceOptions& o);
  void (*move_sides)(GuidanceOptions& o);
};

inline const std::vector<MethodCase>& method_cases() {
  using O = GuidanceOptions;
  static const std::vector<MethodCase> kCases = {
      {"ngms", [](O& o) { o.ngms.sigma = 1000; }, [](O&) {}},
      {"sharpness", [](O& o) { o.sharpness.sharpness = 2; }, [](O&) {}},
      {"skimmed_cfg", [](O& o) { o.skimmed_cfg.mode = SkimMode::kSingle; },
       [](O& o) {
         o.skimmed_cfg.scale = 3;
         o.skimmed_cfg.full_negative = o.skimmed_cfg.without_filter = true;
       }},
      {"tcfg", [](O& o) { o.tcfg.on = true; }, [](O&) {}},
      {"fresca",
       [](O& o) {
         o.fresca.high = 1.25;
         o.fresca.cutoff = 2;
       },
       [](O& o) { o.fresca.cutoff = 2; }},
      {"apg", [](O& o) { o.apg.on = true; }, [](O& o) { o.apg.eta = 0, o.apg.momentum = -0.5; }},
      {"rescale_cfg", [](O& o) { o.rescale_cfg.share = 0.7; }, [](O&) {}},
      {"dynthresh", [](O& o) { o.dynthresh.mimic = 2; },
       [](O& o) { o.dynthresh.mimic = 3, o.dynthresh.phi = 0; }},
      {"perp_neg", [](O& o) { o.perp_neg.weight = 1; }, [](O&) {}},
      {"adaptive_cfg", [](O& o) { o.adaptive_cfg.limit = 2; }, [](O&) {}},
      {"cfg_zero_star", [](O& o) { o.cfg_zero_star.on = true; }, [](O&) {}},
      {"cfg_norm", [](O& o) { o.cfg_norm.strength = 0.9; }, [](O&) {}},
      {"mahiro", [](O& o) { o.mahiro.on = true; }, [](O&) {}},
      {"pag", [](O& o) { o.pag.scale = 3; }, [](O& o) { o.pag.layers = "up.0"; }},
      {"seg", [](O& o) { o.seg.scale = 3; }, [](O& o) { o.seg.sigma = 1; }},
      {"slg", [](O& o) { o.slg.scale = 2; }, [](O& o) { o.slg.layers = "down.1"; }},
      {"sag", [](O& o) { o.sag.scale = 0.5; }, [](O& o) { o.sag.sigma = 1, o.sag.threshold = 0; }},
      {"epsilon_scaling", [](O& o) { o.epsilon_scaling.factor = 1.005; }, [](O&) {}},
      {"diffusion_cg", [](O& o) { o.diffusion_cg.recenter = 0.5; }, [](O&) {}},
      {"vectorscope", [](O& o) { o.vectorscope.contrast = 0.2; },
       [](O& o) {
         o.vectorscope.color_shift = {0, 0, 0};
         o.vectorscope.method = ColorMethod::kOnes;
       }},
      {"nag", [](O& o) { o.nag.scale = 3; },
       [](O& o) { o.nag.tau = 1, o.nag.alpha = 0.9, o.nag.prompt = "fox"; }},
      {"freeu",
       [](O& o) {
         o.freeu.factors = {1.3, 1.4, 0.9, 0.2};
       },
       [](O& o) {
         o.freeu.factors = {1, 1, 1, 1}, o.freeu.version = 1;
       }},
      {"adm_guidance",
       [](O& o) {
         o.adm_guidance.factors = {1.5, 0.8, 0.3};
       },
       [](O& o) {
         o.adm_guidance.factors = {1, 1, 0.9};
       }},
  };
  return kCases;
}

}  // namespace fourstep::testing
