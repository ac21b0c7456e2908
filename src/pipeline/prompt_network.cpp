#include "pipeline/prompt_network.h"

#include <utility>

#include "pipeline/adm_guidance.h"
#include "pipeline/guidance_stages.h"
#include "sampling/parameterization.h"

namespace fourstep {

namespace {

/// A prompt's conditioning at a noise level.
using ConditioningAt = std::function<Conditioning(double sigma)>;

/// What all calls of one request share.
struct NetworkCalls {
  UNet unet;
  NoiseSchedule schedule;
  NetworkOutput output;
};

double level_of(const Tensor& sigma) { return sigma[0].item<double>(); }

Tensor call(const NetworkCalls& calls, const Conditioning& cond, const Tensor& x,
            const Tensor& sigma, const UNetHooks* hooks) {
  const Network network = [&](const Tensor& scaled, const Tensor& timestep) {
    UNet unet = calls.unet;
    return unet->forward({scaled, timestep, cond.context, cond.pooled, cond.time_ids, hooks});
  };
  return make_denoiser(network, calls.schedule, calls.output)(x, sigma);
}

/// uncond first, then cond: the order that in_one_batch() expects.
Conditioning stack(const Conditioning& uncond, const Conditioning& cond) {
  const auto join = [](const Tensor& a, const Tensor& b) {
    return a.defined() ? at::cat({a, b}) : Tensor();
  };
  return {join(uncond.context, cond.context), join(uncond.pooled, cond.pooled),
          join(uncond.time_ids, cond.time_ids)};
}

UNetHooks without_nag(const UNetHooks& hooks) {
  UNetHooks rest = hooks;
  rest.nag.reset();
  return rest;
}

UNetHooks without_map(const UNetHooks& hooks) {
  UNetHooks rest = hooks;
  rest.middle_attention = nullptr;
  return rest;
}

HookedDenoiser hooked(const NetworkCalls& calls, ConditioningAt cond) {
  return [calls, cond = std::move(cond)](const Tensor& x, const Tensor& sigma,
                                         const UNetHooks* hooks) {
    return call(calls, cond(level_of(sigma)), x, sigma, hooks);
  };
}

/// In one batch, cond's rows are the last ones, on which NAG acts.
CondUncond call_once(const NetworkCalls& calls, const Conditioning& both, const Tensor& x,
                     const Tensor& sigma, const UNetHooks* hooks) {
  return in_one_batch([&](const Tensor& doubled, const Tensor& sigmas) {
    return call(calls, both, doubled, sigmas, hooks);
  })(x, sigma);
}

CondUncond call_twice(const HookedDenoiser& cond, const HookedDenoiser& uncond, const Tensor& x,
                      const Tensor& sigma, const UNetHooks* hooks) {
  if (!hooks) {
    Tensor without = uncond(x, sigma, nullptr);
    return {cond(x, sigma, nullptr), std::move(without)};
  }
  const UNetHooks for_uncond = without_nag(*hooks), for_cond = without_map(*hooks);
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

}  // namespace

PromptNetwork make_prompt_network(Models& models, const Request& request, const Prompts& prompts,
                                  const Events& events) {
  const NetworkCalls calls{models.unet(events), models.noise_schedule(request),
                           models.network_output(request)};
  check_guided_layers(request.guidance, calls.unet->config);
  const torch::Device device = models.placement().device;
  const SizeOverSteps negative_size = size_over_steps(request, true, device);
  const ConditioningAt cond =
      with_size(prompts.cond, size_over_steps(request, false, device), calls.schedule);
  PromptNetwork network;
  network.cond = hooked(calls, cond);
  if (prompts.empty) {
    network.empty = hooked(calls, with_size(*prompts.empty, negative_size, calls.schedule));
  }
  if (!prompts.uncond) return network;
  const ConditioningAt uncond = with_size(*prompts.uncond, negative_size, calls.schedule);
  network.uncond = hooked(calls, uncond);
  network.pair = [calls, cond, uncond, network](const Tensor& x, const Tensor& sigma,
                                                const UNetHooks* hooks) {
    const Conditioning with = cond(level_of(sigma)), without = uncond(level_of(sigma));
    if (with.context.size(1) != without.context.size(1)) {
      return call_twice(network.cond, network.uncond, x, sigma, hooks);
    }
    return call_once(calls, stack(without, with), x, sigma, hooks);
  };
  return network;
}

}  // namespace fourstep
