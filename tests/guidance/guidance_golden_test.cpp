// All formulas of guidance that live in src/guidance, against the programs they come from.

#include "support/guidance_golden.h"

#include <cmath>

#include "base/frequency_filter.h"
#include "guidance/guidance_options.h"

namespace fourstep {
namespace {

using nlohmann::json;
using testing::golden_error;
using testing::golden_tensor;

/// What most cases share.
struct Case {
  explicit Case(const json& one)
      : x(golden_tensor(one.at("x"))),
        pair{golden_tensor(one.at("cond")), golden_tensor(one.at("uncond"))},
        scale(one.at("cond_scale")),
        sigma(one.value("sigma", 1.0)),
        guided(combine_cfg(pair, scale)) {}
  Tensor x;
  CondUncond pair;
  double scale, sigma;
  Tensor guided;
};

double number(const json& one, const char* name) { return one.at(name).get<double>(); }
double param(const json& one, const char* name) { return number(one.at("params"), name); }

/// The pair that a method changes before CFG, and the result of CFG.
double pair_error(const Case& c, const CondUncond& changed, const json& one) {
  double error = golden_error(combine_cfg(changed, c.scale), one.at("out"));
  if (one.contains("modified_cond")) {
    error = std::max(error, golden_error(changed.cond, one.at("modified_cond")));
  }
  if (one.contains("modified_uncond")) {
    error = std::max(error, golden_error(changed.uncond, one.at("modified_uncond")));
  }
  return error;
}

double check_skimmed(const json& one, const SkimOptions& options, bool has_filter = true) {
  const Case c(one);
  return pair_error(c, skimmed(c.x, c.pair, c.scale, options, has_filter), one);
}

/// The value that a user's word stands for.
template <typename Enum>
Enum word(const json& text) {
  Enum value{};
  value_from_text(FieldInfo{"word", ""}, text.get<std::string>(), value);
  return value;
}

double check_skimmed_single(const json& one) {
  return check_skimmed(one,
                       {.mode = SkimMode::kSingle,
                        .scale = param(one, "Skimming_CFG"),
                        .full_negative = one.at("params").at("full_skim_negative").get<bool>()},
                       !one.at("params").at("disable_flipping_filter").get<bool>());
}

double check_skimmed_dual(const json& one) {
  return check_skimmed(one, {.mode = SkimMode::kDual,
                             .scale = param(one, "positive"),
                             .negative_scale = param(one, "negative")});
}

double check_skimmed_difference(const json& one) {
  return check_skimmed(one, {.mode = SkimMode::kDifference,
                             .scale = param(one, "reference_CFG"),
                             .distance = word<SkimDistance>(one.at("params").at("method"))});
}

double check_timed_flip(const json& one) {
  const bool is_above = number(one, "sigma") > param(one, "flip_sigma");
  return check_skimmed(one, {.mode = SkimMode::kTimedFlip},
                       is_above == one.at("params").at("reverse").get<bool>());
}

double check_mask(const json& one) {
  const Case c(one);
  const Tensor mask = skimming_mask(c.x, c.pair, c.scale, !one.at("disable_flipping_filter"));
  return testing::max_absolute_error(testing::to_doubles(mask), testing::numbers(one.at("mask")));
}

ApgOptions apg_options(const json& one) {
  return {true, param(one, "eta"), param(one, "norm_threshold"), param(one, "momentum")};
}

double check_apg(const json& one) {
  const Case c(one);
  Tensor running;
  const Tensor cond = apg_cond(c.pair, c.scale, apg_options(one), running);
  return pair_error(c, {cond, c.pair.uncond}, one);
}

double check_apg_sequence(const json& one) {
  Tensor running;
  double error = 0;
  for (const json& step : one.at("steps")) {
    const CondUncond pair{golden_tensor(step.at("cond")), golden_tensor(step.at("uncond"))};
    const Tensor cond = apg_cond(pair, number(one, "cond_scale"), apg_options(one), running);
    error = std::max(error, golden_error(cond, step.at("modified_cond")));
  }
  return error;
}

double check_dynthresh(const json& one) {
  const DynthreshOptions options{.percentile = number(one, "threshold_percentile"),
                                 .phi = number(one, "interpolate_phi"),
                                 .global = !one.at("separate_feature_channels").get<bool>(),
                                 .from_zero = one.at("scaling_startpoint") != "MEAN",
                                 .by_std = one.at("variability_measure") == "STD"};
  const CondUncond pair{golden_tensor(one.at("cond")), golden_tensor(one.at("uncond"))};
  return golden_error(
      combine_dynthresh(pair, number(one, "cfg_scale"), number(one, "mimic_scale"), options),
      one.at("out"));
}

double check_curves(const json& one) {
  double error = 0;
  for (const json& mode : one.at("modes")) {
    const ScaleOverSteps curve{word<ScaleCurve>(mode.at("mode")), number(one, "min"),
                               number(one, "sched_val")};
    std::vector<double> got;
    for (const double step : testing::numbers(one.at("at_steps"))) {
      got.push_back(scale_at(curve, number(one, "scale"), step / (number(one, "max_steps") - 1)));
    }
    error = std::max(error, testing::max_absolute_error(got, testing::numbers(mode.at("values"))));
  }
  return error;
}

StepPosition position(const json& one) { return {one.at("step"), one.at("total_steps")}; }

double check_diffusion_cg(const json& one) {
  const DiffusionCgOptions options{number(one, "recenter"), number(one, "normalization")};
  return golden_error(diffusion_cg(golden_tensor(one.at("x")), position(one), options),
                      one.at("out"));
}

double check_vectorscope(const json& one) {
  const Tensor x = golden_tensor(one.at("x")), denoised = golden_tensor(one.at("denoised"));
  const VectorscopeOptions options{
      number(one, "brightness"),           number(one, "contrast"),
      number(one, "saturation"),           {number(one, "r"), number(one, "g"), number(one, "b")},
      word<ColorMethod>(one.at("method")), word<ColorScaling>(one.at("scaling"))};
  const bool is_x = one.at("mode") == "x";
  const Tensor changed =
      vectorscope(is_x ? x : denoised, is_x ? denoised : x, position(one), options);
  return std::max(golden_error(is_x ? changed : x, one.at("x_out")),
                  golden_error(is_x ? denoised : changed, one.at("denoised_out")));
}

double check_fooocus(const json& one) {
  const Tensor x = golden_tensor(one.at("x")), cond = golden_tensor(one.at("positive_x0"));
  const double progress = number(one, "progress");
  const CondUncond pair{sharpened_cond(x, cond, number(one, "sharpness"), progress),
                        golden_tensor(one.at("negative_x0"))};
  const Tensor guide =
      (cond - cond.mean({1, 2, 3}, true)) / (cond.std(at::IntArrayRef{1, 2, 3}, true, true) + 1e-5);
  return std::max(golden_error(joint_bilateral_filter(x - cond, guide), one.at("filtered_eps")),
                  golden_error(combine_adaptive(pair, number(one, "cond_scale"),
                                                number(one, "adaptive_cfg"), progress),
                               one.at("out")));
}

double check_sag(const json& one) {
  const Tensor x0 = golden_tensor(one.at("x0")), maps = golden_tensor(one.at("attention"));
  const int64_t heads = one.at("heads"), positions = maps.size(2);
  const Tensor mask = attended_positions(maps.unflatten(0, {-1, heads}), number(one, "threshold"));
  const auto factor = static_cast<int64_t>(std::lround(
      std::sqrt(static_cast<double>(x0[0][0].numel()) / static_cast<double>(positions))));
  const Tensor grid = mask.view({x0.size(0), x0.size(2) / factor, x0.size(3) / factor});
  const double mask_error =
      testing::max_absolute_error(testing::to_doubles(mask), testing::numbers(one.at("mask")));
  return std::max(mask_error,
                  golden_error(blur_attended(x0, grid, number(one, "sigma")), one.at("out")));
}

/// A check for a method that makes the guided estimate from a Case.
testing::GuidanceCheck result(Tensor (*method)(const Case& c, const json& one)) {
  return [method](const json& one) { return golden_error(method(Case(one), one), one.at("out")); };
}

TEST(GoldenGuidance, CombinationsAndCorrectionsEqualComfyUi) {
  testing::check_guidance_cases({
      {"cfg", result([](const Case& c, const json&) { return c.guided; })},
      {"rescale_cfg_comfyui", result([](const Case& c, const json& one) {
         return combine_rescaled(c.x, c.sigma, c.pair, c.scale, param(one, "multiplier"),
                                 NetworkOutput::kV);
       })},
      {"cfg_zero_star", result([](const Case& c, const json&) {
         return cfg_zero_star(c.x, c.pair, c.guided, c.scale);
       })},
      {"cfg_norm", result([](const Case& c, const json& one) {
         return cfg_norm(c.pair.cond, c.guided, param(one, "strength"));
       })},
      {"mahiro",
       result([](const Case& c, const json&) { return mahiro(c.pair, c.guided, c.scale); })},
      {"epsilon_scaling", result([](const Case& c, const json& one) {
         return scale_epsilon(c.x, c.guided, param(one, "scaling_factor"));
       })},
      {"perp_neg", result([](const Case& c, const json& one) {
         return combine_perp_neg(c.pair, golden_tensor(one.at("empty")), c.scale,
                                 param(one, "neg_scale"));
       })},
  });
}

TEST(GoldenGuidance, ChangesBeforeCfgEqualComfyUi) {
  testing::check_guidance_cases({
      {"skimmed_cfg_single", check_skimmed_single},
      {"skimmed_cfg_replace",
       [](const json& one) { return check_skimmed(one, {.mode = SkimMode::kReplace}); }},
      {"skimmed_cfg_linear",
       [](const json& one) {
         return check_skimmed(one,
                              {.mode = SkimMode::kLinear, .scale = param(one, "Skimming_CFG")});
       }},
      {"skimmed_cfg_linear_dual", check_skimmed_dual},
      {"skimmed_cfg_difference", check_skimmed_difference},
      {"skimmed_cfg_timed_flip", check_timed_flip},
      {"skimming_mask", check_mask},
      {"apg", check_apg},
      {"apg_momentum_sequence", check_apg_sequence},
      {"tcfg",
       [](const json& one) {
         const Case c(one);
         return pair_error(c, {c.pair.cond, tcfg_uncond(c.x, c.pair)}, one);
       }},
      {"fresca",
       [](const json& one) {
         const Case c(one);
         const FrequencyFactors options{param(one, "scale_low"), param(one, "scale_high"),
                                        one.at("params").at("freq_cutoff").get<int64_t>()};
         return pair_error(c, {fresca_cond(c.pair, options), c.pair.uncond}, one);
       }},
  });
}

TEST(GoldenGuidance, DynamicThresholdingLatentsAndDegradedEstimates) {
  testing::check_guidance_cases({
      {"dynamic_thresholding", check_dynthresh},
      {"dynthresh_scale_schedule", check_curves},
      {"diffusion_cg", check_diffusion_cg},
      {"vectorscope_cc_sdxl", check_vectorscope},
      {"fooocus_sampling_function", check_fooocus},
      {"sag_blur_map", check_sag},
      {"sag_gaussian_blur",
       [](const json& one) {
         const Tensor got =
             gaussian_blur(golden_tensor(one.at("x")), one.at("kernel_size"), number(one, "sigma"));
         return golden_error(got, one.at("out"));
       }},
      {"pag_combine",
       [](const json& one) {
         const Tensor got =
             guide_from_degraded(golden_tensor(one.at("denoised")), golden_tensor(one.at("cond")),
                                 golden_tensor(one.at("degraded")), number(one, "scale"));
         return golden_error(got, one.at("out"));
       }},
      {"rescale_noise_cfg_diffusers",
       [](const json& one) {
         const Tensor got = rescale_to_cond(golden_tensor(one.at("noise_cfg")),
                                            golden_tensor(one.at("noise_pred_text")),
                                            number(one, "guidance_rescale"));
         return golden_error(got, one.at("out"));
       }},
  });
}

}  // namespace
}  // namespace fourstep
