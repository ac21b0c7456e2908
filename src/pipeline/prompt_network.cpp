#include "pipeline/prompt_network.h"

#include <optional>
#include <utility>
#include <vector>

#include "pipeline/adm_guidance.h"
#include "pipeline/guidance_stages.h"
#include "sampling/parameterization.h"
#include "sampling/prompt_parts.h"

namespace fourstep {

namespace {

/// A prompt's conditioning at a noise level.
using ConditioningAt = std::function<Conditioning(double sigma)>;

/// What all calls of one request share.
struct NetworkCalls {
  UNet unet;
  NoiseSchedule schedule;
  TimestepOf timestep_of;
  NetworkOutput output;
};

double level_of(const Tensor& sigma) { return sigma[0].item<double>(); }

Tensor call(const NetworkCalls& calls, const Conditioning& cond, const Tensor& x,
            const Tensor& sigma, const UNetExtras* hooks) {
  const Network network = [&](const Tensor& scaled, const Tensor& timestep) {
    UNet unet = calls.unet;
    return unet->forward({scaled, timestep, cond.context, cond.pooled, cond.time_ids, hooks});
  };
  return make_denoiser(network, calls.timestep_of, calls.output)(x, sigma);
}

/// One row counts for all images of a batch.
Conditioning with_rows(const Conditioning& cond, int64_t rows) {
  const auto repeated = [rows](const Tensor& tensor) {
    if (!tensor.defined() || tensor.size(0) == rows) return tensor;
    Shape shape = shape_of(tensor);
    shape[0] = rows;
    return tensor.expand(shape);
  };
  return {repeated(cond.context), repeated(cond.pooled), repeated(cond.time_ids)};
}

/// uncond first, then cond: the order that in_one_batch() expects.
Conditioning stack(const Conditioning& uncond, const Conditioning& cond) {
  const auto join = [](const Tensor& a, const Tensor& b) {
    return a.defined() ? at::cat({a, b}) : Tensor();
  };
  return {join(uncond.context, cond.context), join(uncond.pooled, cond.pooled),
          join(uncond.time_ids, cond.time_ids)};
}

UNetExtras without_nag(const UNetExtras& hooks) {
  UNetExtras rest = hooks;
  rest.attention_terms.clear();
  return rest;
}

UNetExtras without_map(const UNetExtras& hooks) {
  UNetExtras rest = hooks;
  rest.middle_attention = nullptr;
  return rest;
}

HookedDenoiser hooked(const NetworkCalls& calls, ConditioningAt cond) {
  return [calls, cond = std::move(cond)](const Tensor& x, const Tensor& sigma,
                                         const UNetExtras* hooks) {
    return call(calls, with_rows(cond(level_of(sigma)), x.size(0)), x, sigma, hooks);
  };
}

/// In one batch, cond's rows are the last ones, on which NAG acts.
CondUncond call_once(const NetworkCalls& calls, const Conditioning& both, const Tensor& x,
                     const Tensor& sigma, const UNetExtras* hooks) {
  return in_one_batch([&](const Tensor& doubled, const Tensor& sigmas) {
    return call(calls, both, doubled, sigmas, hooks);
  })(x, sigma);
}

CondUncond call_twice(const HookedDenoiser& cond, const HookedDenoiser& uncond, const Tensor& x,
                      const Tensor& sigma, const UNetExtras* hooks) {
  if (!hooks) {
    Tensor without = uncond(x, sigma, nullptr);
    return {cond(x, sigma, nullptr), std::move(without)};
  }
  const UNetExtras for_uncond = without_nag(*hooks), for_cond = without_map(*hooks);
  Tensor without = uncond(x, sigma, &for_uncond);
  return {cond(x, sigma, &for_cond), std::move(without)};
}

/// `cond` with the size it is told at a noise level.
ConditioningAt with_size(const Conditioning& cond, const SizeOverSteps& size,
                         const NoiseSchedule& schedule) {
  return [cond, size, schedule](double sigma) {
    Conditioning sized = cond;
    sized.time_ids = size.at(nearest_timestep(schedule, sigma));
    return sized;
  };
}

Denoiser bound(const HookedDenoiser& call, const UNetExtras* hooks) {
  return [call, hooks](const Tensor& x, const Tensor& sigma) { return call(x, sigma, hooks); };
}

/// A part of "a AND b" beyond the first.
struct WeightedCall {
  HookedDenoiser call;
  double weight = 1;
};

/// hooks: may be null.
std::vector<WeightedDenoiser> bound_parts(const std::vector<WeightedCall>& parts,
                                          const UNetExtras* hooks) {
  std::vector<WeightedDenoiser> all;
  for (const WeightedCall& part : parts) all.push_back({bound(part.call, hooks), part.weight});
  return all;
}

/// Adds further parts, each in a call of its own.
PromptNetwork with_parts(const PromptNetwork& first, double weight, double total_weight,
                         const std::vector<WeightedCall>& others) {
  PromptNetwork network = first;
  network.pair = [=](const Tensor& x, const Tensor& sigma, const UNetExtras* hooks) {
    const UNetExtras rest = hooks ? without_map(*hooks) : UNetExtras();
    const PairDenoiser pair = [&](const Tensor& x_now, const Tensor& sigma_now) {
      return first.pair(x_now, sigma_now, hooks);
    };
    return compose_parts(pair, weight, bound_parts(others, hooks ? &rest : nullptr))(x, sigma);
  };
  if (!is_neutral_scale(total_weight)) {
    network.cond = [pair = network.pair](const Tensor& x, const Tensor& sigma,
                                         const UNetExtras* hooks) {
      return pair(x, sigma, hooks).cond;
    };
    return network;
  }
  network.cond = [=](const Tensor& x, const Tensor& sigma, const UNetExtras* hooks) {
    std::vector<WeightedDenoiser> parts = bound_parts(others, hooks);
    parts.insert(parts.begin(), {bound(first.cond, hooks), weight});
    return sum_of_parts(std::move(parts))(x, sigma);
  };
  return network;
}

/// The network of the first part, with uncond where the prompts have one.
PromptNetwork first_part(const NetworkCalls& calls, const ConditioningAt& cond,
                         const std::optional<ConditioningAt>& uncond) {
  PromptNetwork network;
  network.cond = hooked(calls, cond);
  if (!uncond) return network;
  network.uncond = hooked(calls, *uncond);
  network.pair = [calls, cond, without = *uncond, network](const Tensor& x, const Tensor& sigma,
                                                           const UNetExtras* hooks) {
    const Conditioning with = with_rows(cond(level_of(sigma)), x.size(0));
    const Conditioning negative = with_rows(without(level_of(sigma)), x.size(0));
    if (with.context.size(1) != negative.context.size(1)) {
      return call_twice(network.cond, network.uncond, x, sigma, hooks);
    }
    return call_once(calls, stack(negative, with), x, sigma, hooks);
  };
  return network;
}

/// What the network is told of sizes, of the prompt and of the negative one.
struct Sizes {
  SizeOverSteps prompt, negative;
};

PromptNetwork network_of_stage(const NetworkCalls& calls, const Prompts& prompts,
                               const Sizes& sizes) {
  const auto& [size, negative_size] = sizes;
  std::optional<ConditioningAt> uncond;
  if (prompts.uncond) uncond = with_size(*prompts.uncond, negative_size, calls.schedule);
  PromptNetwork network = first_part(calls, with_size(prompts.cond, size, calls.schedule), uncond);
  if (prompts.empty) {
    network.empty = hooked(calls, with_size(*prompts.empty, negative_size, calls.schedule));
  }
  if (!prompts.has_parts()) return network;
  std::vector<WeightedCall> others;
  for (const PromptPart& part : prompts.others) {
    others.push_back({hooked(calls, with_size(part.cond, size, calls.schedule)), part.weight});
  }
  return with_parts(network, prompts.weight, prompts.total_weight(), others);
}

}  // namespace

std::vector<PromptNetwork> make_prompt_networks(Models& models, const ResolvedRequest& request,
                                                const PromptPlan& prompts, const SamplingPlan& plan,
                                                const Events& events) {
  const NetworkCalls calls{models.unet(events), plan.schedule, plan.timestep_of, request.output};
  check_guided_layers(request.guidance, calls.unet->config);
  const torch::Device device = models.placement().device;
  const Sizes sizes{size_over_steps(request, false, device),
                    size_over_steps(request, true, device)};
  std::vector<PromptNetwork> networks;
  for (const Prompts& stage : prompts.stages) {
    networks.push_back(network_of_stage(calls, stage, sizes));
  }
  return networks;
}

}  // namespace fourstep
