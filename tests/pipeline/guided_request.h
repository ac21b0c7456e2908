#pragma once
// Requests that switch one guidance method on, for the tests of all methods.

#include <string>
#include <vector>

#include "request/request.h"

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
      {"sharpness", [](O& o) { o.sharpness = 2; }, [](O&) {}},
      {"skimmed_cfg", [](O& o) { o.skimmed_cfg = "single"; },
       [](O& o) { o.skim_scale = 3, o.skim_full_negative = o.skim_without_filter = true; }},
      {"tcfg", [](O& o) { o.tcfg = true; }, [](O&) {}},
      {"fresca",
       [](O& o) {
         o.fresca_high = 1.25;
         o.fresca_cutoff = 2;
       },
       [](O& o) { o.fresca_cutoff = 2; }},
      {"apg", [](O& o) { o.apg = true; }, [](O& o) { o.apg_eta = 0, o.apg_momentum = -0.5; }},
      {"rescale_cfg", [](O& o) { o.rescale_cfg = 0.7; }, [](O&) {}},
      {"dynthresh", [](O& o) { o.dynthresh_mimic = 2; },
       [](O& o) { o.dynthresh_mimic = 3, o.dynthresh_phi = 0; }},
      {"perp_neg", [](O& o) { o.perp_neg = 1; }, [](O&) {}},
      {"adaptive_cfg", [](O& o) { o.adaptive_cfg = 2; }, [](O&) {}},
      {"cfg_zero_star", [](O& o) { o.cfg_zero_star = true; }, [](O&) {}},
      {"cfg_norm", [](O& o) { o.cfg_norm = 0.9; }, [](O&) {}},
      {"mahiro", [](O& o) { o.mahiro = true; }, [](O&) {}},
      {"pag", [](O& o) { o.pag_scale = 3; }, [](O& o) { o.pag_layers = "up.0"; }},
      {"seg", [](O& o) { o.seg_scale = 3; }, [](O& o) { o.seg_sigma = 1; }},
      {"slg", [](O& o) { o.slg_scale = 2; }, [](O& o) { o.slg_layers = "down.1"; }},
      {"sag", [](O& o) { o.sag_scale = 0.5; }, [](O& o) { o.sag_sigma = 1, o.sag_threshold = 0; }},
      {"epsilon_scaling", [](O& o) { o.epsilon_scaling = 1.005; }, [](O&) {}},
      {"diffusion_cg", [](O& o) { o.cg_recenter = 0.5; }, [](O&) {}},
      {"vectorscope", [](O& o) { o.contrast = 0.2; },
       [](O& o) {
         o.color_shift = {0, 0, 0}, o.color_method = "Ones";
       }},
      {"nag", [](O& o) { o.nag_scale = 3; },
       [](O& o) { o.nag_tau = 1, o.nag_alpha = 0.9, o.nag_prompt = "fox"; }},
      {"freeu",
       [](O& o) {
         o.freeu = {1.3, 1.4, 0.9, 0.2};
       },
       [](O& o) {
         o.freeu = {1, 1, 1, 1}, o.freeu_version = 1;
       }},
      {"adm_guidance",
       [](O& o) {
         o.adm_guidance = {1.5, 0.8, 0.3};
       },
       [](O& o) {
         o.adm_guidance = {1, 1, 0.9};
       }},
  };
  return kCases;
}

}  // namespace fourstep::testing
