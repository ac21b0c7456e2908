#pragma once
// What a guidance method is. Its file has a struct with its options, which also states its facts
// and makes its stage; one line of guidance_options.cpp puts it in the row of methods. A method
// that is off has no stage, so it cannot change a bit. The order of work is ComfyUI's: changes to
// the pair of estimates, their combination, changes to the result, each in the order of the row.

#include <limits>
#include <memory>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fields.h"
#include "base/tensor.h"
#include "guidance/prompts.h"
#include "nets/unet_extras.h"
#include "sampling/parameterization.h"

namespace fourstep {

/// Estimates of x0 with the prompt and with the negative prompt, each [B,4,h,w].
struct CondUncond {
  Tensor cond, uncond;
};

/// uncond + scale * (cond - uncond). Source: Ho and Salimans 2022 (2207.12598), eq. 6 with scale =
/// 1 + w.
Tensor combine_cfg(const CondUncond& pair, double scale);

/// Whether the scale is 1 within 1e-9, so that uncond has no influence. Source: the rule of
/// ComfyUI.
bool is_neutral_scale(double scale);

/// Which step of how many; the first is 0.
struct StepPosition {
  int64_t step, num_steps;
};

/// The step to which a call at noise level `sigma` belongs: the last whose own level is not below
/// it.
StepPosition position_of(const std::vector<double>& sigmas, double sigma);

/// The share of a quarter turn that is done, in radians.
double quarter_angle(StepPosition position);

/// Noise levels, both ends included.
struct SigmaInterval {
  double from = std::numeric_limits<double>::infinity(), to = 0;
  bool contains(double sigma) const { return sigma <= from && sigma >= to; }
};

struct GuidanceCall;

/// What methods may ask of the network beside the pair. Each is one network call, or one for each
/// part of "a AND b", and returns an estimate of x0, [B,4,h,w].
class NetworkCalls {
 public:
  virtual ~NetworkCalls() = default;
  /// With the prompt and layers made worse.
  virtual Tensor degraded_cond(const GuidanceCall& call, const DegradedLayers& layers) = 0;
  /// With the negative prompt, at another x of the same noise level.
  virtual Tensor uncond_at(const GuidanceCall& call, const Tensor& x) = 0;
  /// With the empty prompt.
  virtual Tensor empty(const GuidanceCall& call) = 0;
};

/// What stages see of one call of the denoiser.
struct GuidanceCall {
  const Tensor& x;      ///< [B,4,h,w]
  const Tensor& sigma;  ///< [B], one number for all samples
  double level;         ///< that number
  /// of the call in the run, from 0; samplers may call more than once a step
  int64_t index;
  StepPosition position;  ///< the step that this noise level belongs to
  double cfg_scale;       ///< of this step; 1 outside CFG's interval
  const Prompts& prompts;
  NetworkCalls& network;
};

/// Whose rows a network call has.
struct CallRows {
  int64_t num_cond = 0;          ///< the prompt's, the last ones
  bool is_pairs_uncond = false;  ///< has those of the negative prompt that stages get
};

/// What a method does during a run. Made anew for each: some remember earlier steps.
class GuidanceStage {
 public:
  virtual ~GuidanceStage() = default;
  /// The CFG scale of the call in place of call.cfg_scale; 1: without uncond.
  virtual double cfg_scale(const GuidanceCall& call) { return call.cfg_scale; }
  /// Adds to what the UNet is told with a call.
  virtual void extend(const GuidanceCall& call, const CallRows& rows, UNetExtras& extras) {}
  virtual void before(const GuidanceCall& call, CondUncond& pair) {}
  /// In place of combine_cfg(), for a method that replaces the combination.
  virtual Tensor combine(const GuidanceCall& /*call*/, const CondUncond& /*pair*/) { return {}; }
  /// pair.uncond is undefined where nothing needed it.
  virtual Tensor after(const GuidanceCall& /*call*/, const CondUncond& /*pair*/,
                       const Tensor& denoised) {
    return denoised;
  }
};

/// What stages may know of a run.
struct GuidanceRun {
  NoiseSchedule schedule;                             ///< the model's
  NetworkOutput rescaled_output = NetworkOutput::kV;  ///< in which rescale_cfg measures spreads

  /// Progress of a call over the training steps: 0 at the highest noise level, 1 `num_steps` below
  /// it.
  double progress(const GuidanceCall& call, double num_steps = 999) const {
    return (schedule.last_timestep() - nearest_timestep(schedule, call.level)) / num_steps;
  }
};

enum class StageNeed {
  kNothing,
  kUncond,  ///< acts at any CFG scale and brings the uncond call with it
  kCfg,     ///< acts only where the CFG scale is not 1
};

/// A method that another one cannot work with.
struct Exclusion {
  std::string_view other, reason;
};

struct MethodFacts {
  std::string_view name;  ///< as in guidance_intervals
  StageNeed need = StageNeed::kNothing;
  bool replaces_combination = false;     ///< has combine(); no two of these work together
  bool has_interval = true;              ///< guidance_intervals may name it
  std::vector<Exclusion> excludes = {};  ///< the other one need not name this one too
};

/// Constrains the visitors of options, which take them const or not.
template <typename T, typename Options>
concept OptionsOf = std::is_same_v<std::remove_const_t<T>, Options>;

/// Throws InvalidRequest unless the list is empty or has as many numbers as the example.
void check_length(const char* flag, const std::vector<double>& list, const char* example);

/// run(x, pair) -> Tensor for each image of the batch alone, the results below each other: for
/// formulas that look at all numbers of a tensor, which in ComfyUI mix the images of a batch.
template <typename Run>
Tensor image_by_image(const Tensor& x, const CondUncond& pair, Run run) {
  if (x.size(0) == 1) return run(x, pair);
  std::vector<Tensor> results;
  for (int64_t i = 0; i < x.size(0); ++i) {
    const auto row = [i](const Tensor& t) { return t.narrow(0, i, 1); };
    results.push_back(run(row(x), CondUncond{row(pair.cond), row(pair.uncond)}));
  }
  return at::cat(results);
}

/// `rows` [1,...] or [B,...] with as many rows as a batch has.
Tensor rows_of_batch(const Tensor& rows, int64_t batch);

/// Over channels and space, one number per sample: [B,C,h,w] -> [B,1,1,1].
Tensor sum_per_sample(const Tensor& x);
Tensor std_per_sample(const Tensor& x);  ///< divisor n - 1
Tensor norm_per_sample(const Tensor& x);

}  // namespace fourstep
