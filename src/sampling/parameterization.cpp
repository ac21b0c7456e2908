#include "sampling/parameterization.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"

namespace fourstep {

namespace {

/// A number per sample, [B], as a factor of x: [B,1,1,1] in x's dtype on x's device.
Tensor as_factor(const Tensor& per_sample, const Tensor& x) {
  // Not waited for: else the processor would sit out each call of the network instead of queueing
  // the next.
  return per_sample.to(x.options(), /*non_blocking=*/true).view({-1, 1, 1, 1});
}

/// sigma in double, whatever it came as, after checking that both fit.
Tensor checked_sigma(const Tensor& x, const Tensor& sigma, const char* operation) {
  check_shape(x, {-1, -1, -1, -1}, fmt::format("{}: x", operation));
  check_shape(sigma, {x.size(0)}, fmt::format("{}: sigma", operation));
  if (x.scalar_type() != torch::kFloat32 && x.scalar_type() != torch::kFloat64) {
    throw Error(
        "{}: x is {}, expected float32 or float64: latents are never held in half precision",
        operation, torch::toString(x.scalar_type()));
  }
  return sigma.to(torch::kFloat64);
}

/// [B] noise levels -> [B] fp64 results of `function`, on the CPU.
template <typename Function>
Tensor map_sigmas(const Tensor& sigma, const Function& function) {
  const Tensor mapped =
      sigma.to(torch::kCPU, torch::kFloat64, /*non_blocking=*/false, /*copy=*/true).contiguous();
  double* values = mapped.mutable_data_ptr<double>();
  std::transform(values, values + mapped.numel(), values, function);
  return mapped;
}

}  // namespace

Denoiser make_denoiser(Network network, TimestepOf timestep_of, NetworkOutput output) {
  return [network = std::move(network), timestep_of = std::move(timestep_of), output](
             const Tensor& x, const Tensor& sigma) {
    const Tensor timestep =
        map_sigmas(sigma, timestep_of).to(x.device(), torch::kFloat32, /*non_blocking=*/true);
    return denoised_from_output(output, x, network(scale_input(x, sigma), timestep), sigma);
  };
}

Denoiser make_denoiser(Network network, NoiseSchedule schedule, NetworkOutput output) {
  return make_denoiser(std::move(network), timestep_of_table(std::move(schedule)), output);
}

TimestepOf timestep_of_table(NoiseSchedule schedule) {
  return
      [schedule = std::move(schedule)](double sigma) { return nearest_timestep(schedule, sigma); };
}

Tensor scale_input(const Tensor& x, const Tensor& sigma) {
  const Tensor s = checked_sigma(x, sigma, "scale_input");
  return x * as_factor((s * s + 1).rsqrt(), x);
}

Tensor denoised_from_output(NetworkOutput kind, const Tensor& x, const Tensor& output,
                            const Tensor& sigma) {
  const Tensor s = checked_sigma(x, sigma, "denoised_from_output");
  check_shape(output, shape_of(x), "denoised_from_output: output");
  const Tensor out = output.to(x.scalar_type());
  if (kind == NetworkOutput::kX0) return out;
  if (kind == NetworkOutput::kEps) return x - out * as_factor(s, x);
  const Tensor variance = s * s + 1;
  const Tensor from_x = x * as_factor(variance.reciprocal(), x);
  const Tensor from_out = out * as_factor(s * variance.rsqrt(), x);
  return kind == NetworkOutput::kV ? from_x - from_out : from_x + from_out;
}

Tensor initial_state(const Tensor& latent, const Tensor& noise, double sigma, NoiseScale scale) {
  const double factor = scale == NoiseScale::kSigma ? sigma : std::sqrt(1 + sigma * sigma);
  return latent + noise * factor;
}

NoiseScale comfyui_noise_scale(const NoiseSchedule& schedule, double sigma) {
  const double sigma_max = schedule.sigma_max();
  return sigma >= sigma_max * (1 - 1e-5) ? NoiseScale::kUnitVariance : NoiseScale::kSigma;
}

BoundaryScaling lcm_boundary_scaling(double timestep) {
  constexpr double kTimestepScaling = 10, kSigmaDataSquared = 0.25;
  const double scaled = timestep * kTimestepScaling;
  const double sum = scaled * scaled + kSigmaDataSquared;
  return {kSigmaDataSquared / sum, scaled / std::sqrt(sum)};
}

Denoiser with_lcm_boundary(Denoiser denoise, NoiseSchedule schedule) {
  return [denoise = std::move(denoise), schedule = std::move(schedule)](const Tensor& x,
                                                                        const Tensor& sigma) {
    const Tensor timestep =
        map_sigmas(sigma, [&](double level) { return nearest_timestep(schedule, level); });
    const auto c_skip = [](double t) { return lcm_boundary_scaling(t).c_skip; };
    const auto c_out = [](double t) { return lcm_boundary_scaling(t).c_out; };
    return denoise(x, sigma) * as_factor(map_sigmas(timestep, c_out), x) +
           scale_input(x, sigma) * as_factor(map_sigmas(timestep, c_skip), x);
  };
}

}  // namespace fourstep
