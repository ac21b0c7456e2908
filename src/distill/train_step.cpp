#include "distill/train_step.h"

#include "train/captions.h"
#include "train/loop.h"
#include "train/random.h"

namespace fourstep {

namespace {

constexpr int64_t kNumTimesteps = 1000;

/// Noise and timesteps in low..high.
struct Drawer {
  uint64_t seed;
  int64_t iteration;
  const Shape& shape;

  Tensor normal(const std::string& stream) const {
    return draw_normal({seed, stream, iteration}, shape);
  }
  NoisedAt noised(const std::string& stream, int64_t low, int64_t high) const {
    return {draw_integers({seed, stream + " t", iteration}, low, high + 1, shape[0]),
            normal(stream + " noise")};
  }
};

NoisedAt part_of(const NoisedAt& at, int64_t begin, int64_t count, torch::Device device) {
  return {at.timesteps.narrow(0, begin, count).to(device),
          at.noise.narrow(0, begin, count).to(device)};
}

}  // namespace

StepDraws draw_step(const DistillConfig& config, uint64_t seed, int64_t iteration,
                    const Shape& shape) {
  const Drawer drawer{seed, iteration, shape};
  StepDraws draws;
  const auto num_steps = static_cast<int64_t>(config.timesteps.size());
  draws.student_step =
      draw_integers({seed, "student step", iteration}, 0, num_steps, 1).item<int64_t>();
  for (int64_t j = 0; j <= draws.student_step; ++j) {
    draws.rollout.push_back(drawer.normal(fmt::format("rollout {}", j)));
  }
  const auto step_timestep =
      static_cast<int64_t>(config.timesteps[static_cast<size_t>(draws.student_step)]);
  const int64_t cleanest = config.min_timestep;
  const int64_t below = std::max(cleanest, std::min(config.max_timestep, step_timestep - 1));
  draws.matching = {drawer.noised("matching", cleanest, config.max_timestep),
                    drawer.noised("guidance", cleanest, below)};
  draws.gan = drawer.noised("gan", 0, kNumTimesteps - 1);
  draws.critic = drawer.noised("critic", 0, kNumTimesteps - 1);
  draws.fake = drawer.noised("fake", 0, kNumTimesteps - 1);
  draws.real = drawer.noised("real", 0, kNumTimesteps - 1);
  return draws;
}

StepDraws part_of(const StepDraws& draws, int64_t begin, int64_t count, torch::Device device) {
  const auto part = [&](const NoisedAt& at) { return part_of(at, begin, count, device); };
  StepDraws own{draws.student_step,
                {},
                {part(draws.matching.matching), part(draws.matching.guidance)},
                part(draws.gan),
                part(draws.critic),
                part(draws.fake),
                part(draws.real)};
  for (const Tensor& noise : draws.rollout) {
    own.rollout.push_back(noise.narrow(0, begin, count).to(device));
  }
  return own;
}

namespace {

/// Scale of guidance above which the teacher's unconditional half is computed.
constexpr double kNoGuidance = 1;

Tensor timesteps_like(const Tensor& x, double timestep) {
  return at::full({x.size(0)}, static_cast<int64_t>(timestep),
                  at::TensorOptions(torch::kInt64).device(x.device()));
}

EpsFunction eps_of(View& view, const Conditioning& cond) {
  return [&view, &cond](const Tensor& x_t, const Tensor& timesteps) {
    return view.eps(x_t, timesteps, cond);
  };
}

TeacherFunction teacher_of(View& view, const Conditioning& cond, double cfg_scale) {
  return [&view, &cond, cfg_scale](const Tensor& x_t, const Tensor& timesteps) -> TeacherEps {
    if (cfg_scale == kNoGuidance) return {view.eps(x_t, timesteps, cond), {}};
    const Conditioning both = stack_rows(null_condition(cond), cond);
    const auto halves =
        view.eps(at::cat({x_t, x_t}), at::cat({timesteps, timesteps}), both).chunk(2);
    return {halves[1], halves[0]};
  };
}

Tensor logits_of(Distillation& d, const Tensor& x0, const NoisedAt& at, const Conditioning& cond) {
  const Tensor x_t = d.levels.add_noise(x0, at.noise, at.timesteps);
  return d.discriminator->forward(d.views.critic.bottleneck(x_t, at.timesteps, cond));
}

Tensor student_gradient(Distillation& d, const Tensor& x0, const DistillBatch& batch,
                        const StepDraws& draws, double cfg_scale) {
  const TeacherFunction teacher = teacher_of(d.views.teacher, batch.cond, cfg_scale);
  const EpsFunction critic = eps_of(d.views.critic, batch.cond);
  const Tensor sample = x0.detach();
  if (d.config.decoupled) {
    return decoupled_gradient(sample, draws.matching, d.levels, teacher, critic, cfg_scale);
  }
  return distribution_matching_gradient(sample, draws.matching.matching, d.levels, teacher, critic,
                                        cfg_scale);
}

/// Backward pass, averaging over processes, clipping, one update.
double descend(Distillation& d, const Tensor& loss, AdamW& optimizer, double lr) {
  loss.backward();
  if (d.average_gradients) d.average_gradients(optimizer.parameters());
  const double norm = clip_gradients(optimizer.parameters(), d.config.max_grad_norm);
  optimizer.step(lr);
  return norm;
}

void take_student_turn(Distillation& d, const Tensor& x0, const DistillBatch& batch,
                       const StepDraws& draws, const StepSchedule& schedule, StepResult& result) {
  result.gradient = student_gradient(d, x0, batch, draws, schedule.cfg_scale);
  Tensor loss = matching_loss(x0, result.gradient);
  result.matching_loss = loss.item<double>();
  // The adversarial gradient passes through critic and discriminator to x0 and leaves none in them.
  require_gradients(d.critic_parameters(), false);
  if (schedule.has_gan) {
    const Tensor gan = generator_gan_loss(logits_of(d, x0, draws.gan, batch.cond));
    result.gan_loss = gan.item<double>();
    loss = loss + d.config.gan_weight * gan;
  }
  result.student_grad_norm = descend(d, loss, d.student_optimizer, schedule.student_lr);
  require_gradients(d.critic_parameters(), true);
}

void take_critic_turn(Distillation& d, const DistillBatch& batch, const StepDraws& draws,
                      const StepSchedule& schedule, StepResult& result) {
  Tensor loss = critic_loss(result.x0, draws.critic, d.levels, eps_of(d.views.critic, batch.cond));
  result.critic_loss = loss.item<double>();
  if (schedule.has_gan) {
    const Tensor gan = discriminator_loss(logits_of(d, result.x0, draws.fake, batch.cond),
                                          logits_of(d, batch.real, draws.real, batch.real_cond));
    result.discriminator_loss = gan.item<double>();
    loss = loss + d.config.discriminator_weight * gan;
  }
  result.critic_grad_norm = descend(d, loss, d.critic_optimizer, schedule.critic_lr);
}

}  // namespace

Distillation make_distillation(const DistillConfig& config, UNet unet, const Shape& latent_shape,
                               uint64_t seed) {
  validate(config);
  Views views = make_views(unet, config, seed);
  NamedTensors critic = views.critic.trainable;
  Discriminator discriminator{nullptr};
  if (config.gan_weight > 0) {
    const auto halvings = static_cast<int64_t>(unet->config.levels.size()) - 1;
    discriminator = Discriminator(unet->config.levels.back().channels, latent_shape[1] >> halvings);
    initialize(*discriminator, {.seed = seed + 2, .device = unet->conv_in->weight.device()});
    const NamedTensors head = parameters_of(*discriminator);
    require_gradients(head, true);
    add_prefixed(critic, "discriminator", head);
  }
  const AdamWOptions options{.beta1 = config.beta1, .weight_decay = config.weight_decay};
  AdamW student_optimizer(views.student.trainable, options), critic_optimizer(critic, options);
  const torch::Device device = unet->conv_in->weight.device();
  return {config,
          std::move(views),
          discriminator,
          std::move(student_optimizer),
          std::move(critic_optimizer),
          noise_levels_of(make_sdxl_noise_schedule(), device)};
}

StepSchedule schedule_of(const DistillConfig& config, int64_t iteration) {
  const double share =
      static_cast<double>(iteration) / static_cast<double>(std::max<int64_t>(1, config.iterations));
  const double ramp = config.cfg_ramp > 0 ? std::min(1.0, share / config.cfg_ramp) : 1.0;
  StepSchedule schedule;
  schedule.is_student_turn = iteration % config.critic_ratio == 0;
  schedule.has_gan = config.gan_weight > 0 && share >= config.gan_start;
  schedule.cfg_scale = 1 + ramp * (config.cfg_scale - 1);
  schedule.student_lr = learning_rate_at(iteration, config.iterations, config.student_lr,
                                         config.warmup, config.last_lr_share);
  schedule.critic_lr =
      config.critic_lr *
      std::min(1.0, (1.0 + iteration) / static_cast<double>(std::max<int64_t>(1, config.warmup)));
  return schedule;
}

Tensor simulate_student(Distillation& d, const Conditioning& cond, const StepDraws& draws,
                        bool with_gradient) {
  Tensor x = draws.rollout.front();
  for (int64_t j = 0;; ++j) {
    const bool is_last = j == draws.student_step;
    const at::AutoGradMode mode(is_last && with_gradient);
    const Tensor timesteps = timesteps_like(x, d.config.timesteps[static_cast<size_t>(j)]);
    const Tensor x0 = d.levels.x0_from_eps(x, d.views.student.eps(x, timesteps, cond), timesteps);
    if (is_last) return x0;
    const Tensor next = timesteps_like(x, d.config.timesteps[static_cast<size_t>(j) + 1]);
    x = d.levels.add_noise(x0, draws.rollout[static_cast<size_t>(j) + 1], next);
  }
}

StepResult train_step(Distillation& d, const DistillBatch& batch, const StepDraws& draws,
                      const StepSchedule& schedule) {
  StepResult result;
  const Tensor x0 = simulate_student(d, batch.cond, draws, schedule.is_student_turn);
  result.x0 = x0.detach();
  if (schedule.is_student_turn) {
    take_student_turn(d, x0, batch, draws, schedule, result);
  }
  take_critic_turn(d, batch, draws, schedule, result);
  return result;
}

}  // namespace fourstep
