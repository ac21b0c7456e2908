#include "distill/losses.h"

namespace fourstep {

namespace {

constexpr double kSmallestScale = 1e-3;
constexpr double kLargestStep = 10;

Tensor mean_per_sample(const Tensor& x) { return x.abs().mean({1, 2, 3}, /*keepdim=*/true); }

Tensor normalized(const Tensor& direction, const Tensor& eps, const Tensor& noise) {
  return direction / mean_per_sample(eps - noise).clamp_min(kSmallestScale);
}

Tensor tamed(const Tensor& gradient) {
  return at::where(gradient.isfinite(), gradient.clamp(-kLargestStep, kLargestStep), 0.0);
}

}  // namespace

Tensor TeacherEps::guided(double scale) const {
  return uncond.defined() ? uncond + scale * (cond - uncond) : cond;
}

Tensor distribution_matching_gradient(const Tensor& x0, const NoisedAt& at,
                                      const NoiseLevels& levels, const TeacherFunction& teacher,
                                      const EpsFunction& critic, double cfg_scale) {
  const torch::NoGradGuard no_grad;
  const Tensor x_t = levels.add_noise(x0, at.noise, at.timesteps);
  const Tensor eps_teacher = teacher(x_t, at.timesteps).guided(cfg_scale);
  const Tensor eps_critic = critic(x_t, at.timesteps);
  return tamed(normalized(eps_teacher - eps_critic, eps_teacher, at.noise));
}

Tensor decoupled_gradient(const Tensor& x0, const DecoupledAt& at, const NoiseLevels& levels,
                          const TeacherFunction& teacher, const EpsFunction& critic,
                          double cfg_scale) {
  const torch::NoGradGuard no_grad;
  const Tensor x_t = levels.add_noise(x0, at.matching.noise, at.matching.timesteps);
  const Tensor eps_cond = teacher(x_t, at.matching.timesteps).cond;
  const Tensor eps_critic = critic(x_t, at.matching.timesteps);
  const Tensor matching = normalized(eps_cond - eps_critic, eps_cond, at.matching.noise);
  if (cfg_scale == 1) return tamed(matching);

  const Tensor cleaner = levels.add_noise(x0, at.guidance.noise, at.guidance.timesteps);
  const TeacherEps eps = teacher(cleaner, at.guidance.timesteps);
  const Tensor pull = (cfg_scale - 1) * (eps.cond - eps.uncond);
  return tamed(matching + normalized(pull, eps.guided(cfg_scale), at.guidance.noise));
}

Tensor matching_loss(const Tensor& x0, const Tensor& gradient) {
  return 0.5 * at::mse_loss(x0, (x0 - gradient).detach());
}

Tensor critic_loss(const Tensor& x0, const NoisedAt& at, const NoiseLevels& levels,
                   const EpsFunction& critic) {
  const Tensor x_t = levels.add_noise(x0.detach(), at.noise, at.timesteps);
  return at::mse_loss(critic(x_t, at.timesteps), at.noise);
}

}  // namespace fourstep
