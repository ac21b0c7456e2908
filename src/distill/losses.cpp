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

namespace {
constexpr int64_t kLastSide = 4;
}

DiscriminatorImpl::DiscriminatorImpl(int64_t channels, int64_t side) {
  convs = register_module("convs", make_module_list<Conv2d>());
  norms = register_module("norms", make_module_list<GroupNorm>());
  for (; side > kLastSide; side /= 2) {
    convs->push_back(Conv2d(channels, channels, Conv2dOptions{.kernel = 4, .stride = 2}));
  }
  convs->push_back(
      Conv2d(channels, channels, Conv2dOptions{.kernel = side, .stride = side, .padding = 0}));
  for (size_t i = 0; i < convs->size(); ++i) {
    norms->push_back(GroupNorm(kNormGroups, channels, 1e-5));
  }
  conv_out =
      register_module("conv_out", Conv2d(channels, 1, Conv2dOptions{.kernel = 1, .padding = 0}));
}

Tensor DiscriminatorImpl::forward(const Tensor& features) {
  Tensor x = features.to(torch::kFloat32);
  for (size_t i = 0; i < convs->size(); ++i) x = at::silu((*norms)[i]((*convs)[i](x)));
  return conv_out(x).flatten();
}

Tensor generator_gan_loss(const Tensor& fake_logits) { return at::softplus(-fake_logits).mean(); }

Tensor discriminator_loss(const Tensor& fake_logits, const Tensor& real_logits) {
  return at::softplus(fake_logits).mean() + at::softplus(-real_logits).mean();
}

}  // namespace fourstep
