#include "train/noise_levels.h"

namespace fourstep {

namespace {

Tensor per_sample(const Tensor& table, const Tensor& timesteps, const Tensor& like) {
  Shape shape(static_cast<size_t>(like.dim()), 1);
  shape[0] = timesteps.size(0);
  return table.index_select(0, timesteps).view(shape);
}

Tensor snr_at(const NoiseLevels& levels, const Tensor& timesteps) {
  return (levels.alphas / levels.sigmas).square().index_select(0, timesteps);
}

}  // namespace

NoiseLevels noise_levels_of(const NoiseSchedule& schedule, torch::Device device) {
  const auto alphas_cumprod =
      at::tensor(schedule.alphas_cumprod, at::TensorOptions(torch::kFloat64));
  return {alphas_cumprod.sqrt().to(device, torch::kFloat32),
          (1 - alphas_cumprod).sqrt().to(device, torch::kFloat32)};
}

Tensor NoiseLevels::add_noise(const Tensor& x0, const Tensor& noise,
                              const Tensor& timesteps) const {
  return per_sample(alphas, timesteps, x0) * x0 + per_sample(sigmas, timesteps, x0) * noise;
}

Tensor NoiseLevels::v_target(const Tensor& x0, const Tensor& noise, const Tensor& timesteps) const {
  return per_sample(alphas, timesteps, x0) * noise - per_sample(sigmas, timesteps, x0) * x0;
}

Tensor NoiseLevels::x0_from_eps(const Tensor& x_t, const Tensor& eps,
                                const Tensor& timesteps) const {
  return (x_t - per_sample(sigmas, timesteps, x_t) * eps) / per_sample(alphas, timesteps, x_t);
}

Tensor draw_stratified_timesteps(const RandomKey& key, int64_t num_timesteps, int64_t count) {
  const Tensor numbers = draw_uniform(key, 2 * count);
  const Tensor order = numbers.narrow(0, count, count).argsort();
  const Tensor places = (order + numbers.narrow(0, 0, count)) / static_cast<double>(count);
  return (places * static_cast<double>(num_timesteps))
      .to(torch::kInt64)
      .clamp(0, num_timesteps - 1);
}

Tensor min_snr_weight(const NoiseLevels& levels, const Tensor& timesteps, double gamma,
                      NetworkOutput output) {
  if (gamma == 0) return at::ones({timesteps.size(0)}, levels.alphas.options());
  const Tensor snr = snr_at(levels, timesteps);
  return snr.clamp_max(gamma) / (output == NetworkOutput::kV ? snr + 1 : snr);
}

Tensor high_noise_weight(const NoiseLevels& levels, const Tensor& timesteps, double power) {
  return snr_at(levels, timesteps).clamp_max(1).pow(-power);
}

Tensor weighted_loss(const Tensor& prediction, const Tensor& target, const Tensor& weights) {
  return ((prediction.to(torch::kFloat32) - target).square().mean({1, 2, 3}) * weights).mean();
}

}  // namespace fourstep
