// One picture, one prompt: whatever the noise, the student must draw that picture in one step. For data of a single
// point x* the exact noise prediction is known: eps = (x_t - alpha_t x*) / sigma_t.
#include <gtest/gtest.h>

#include "base/memory.h"
#include "distill/train_step.h"
#include "train/random.h"

namespace fourstep {
namespace {

constexpr int64_t kBatch = 4, kSide = 8;

/// A picture-like latent: smooth, of about unit variance, another mean in each channel.
Tensor picture() {
  const Tensor coarse = draw_normal({3, "picture", 0}, {1, 4, 3, 3});
  return at::upsample_bilinear2d(coarse, {kSide, kSide}, true) +
         torch::tensor({0.5, -0.5, 1.0, 0.0}).view({1, 4, 1, 1});
}

UNet small_unet() {
  UNetConfig config;
  config.levels = {{64, 1, {0}, {0, 0}}};
  config.mid_depth = 1;
  config.cross_width = 64;
  config.time_width = 128;
  config.added_width = 64 + 6 * 8;
  return UNet(config);
}

/// Normal numbers that keep the variance.
void fill(UNet& unet) {
  NamedTensors weights;
  for (const auto& item : unet->named_parameters()) {
    const Shape shape = shape_of(item.value());
    const double fan_in = static_cast<double>(item.value().numel()) / static_cast<double>(shape[0]);
    weights[item.key()] = shape.size() == 1
                              ? at::full(shape, item.key().ends_with(".weight") ? 1.0 : 0.0)
                              : draw_normal({1, item.key(), 0}, shape) / std::sqrt(fan_in);
  }
  load_weights(*unet, weights, {}, "test");
}

Conditioning one_prompt() {
  return {draw_normal({2, "context", 0}, {1, 77, 64}).expand({kBatch, -1, -1}),
          draw_normal({2, "pooled", 0}, {1, 64}).expand({kBatch, -1}), at::full({kBatch, 6}, 64.0)};
}

/// The plain diffusion loss on the one picture: the network that the student begins as, as in a real run.
void pretrain(UNet& unet, const Tensor& target, const Conditioning& cond, int64_t iterations) {
  const NoiseLevels levels = noise_levels_of(make_sdxl_noise_schedule());
  const NamedTensors parameters = parameters_of(*unet);
  require_gradients(parameters, true);
  AdamW optimizer(parameters, {.weight_decay = 0});
  for (int64_t i = 0; i < iterations; ++i) {
    const Tensor noise = draw_normal({4, "noise", i}, {kBatch, 4, kSide, kSide});
    const Tensor timesteps = draw_stratified_timesteps({4, "t", i}, 1000, kBatch);
    const Tensor x_t = levels.add_noise(target.expand_as(noise), noise, timesteps);
    const Tensor eps = unet->forward({x_t, timesteps, cond.context, cond.pooled, cond.time_ids});
    at::mse_loss(eps, noise).backward();
    optimizer.step(2e-3);
  }
}

TEST(Overfit, TheStudentDrawsTheOnePictureInOneStep) {
  keep_freed_memory();
  UNet unet = small_unet();
  fill(unet);
  const Tensor target = picture();
  const DistillBatch batch{one_prompt()};
  pretrain(unet, target, batch.cond, 300);
  DistillConfig config;
  config.timesteps = {399};
  config.backbone = "separate";
  config.student = "full";
  config.iterations = 200;
  config.batch = kBatch;
  config.critic_ratio = 1;
  config.student_lr = config.critic_lr = 1e-3;
  config.last_lr_share = 0.01;
  config.cfg_scale = 1;
  config.decoupled = false;
  Distillation d = make_distillation(config, unet, {4, kSide, kSide}, 0);
  d.views.teacher.eps = [&](const Tensor& x_t, const Tensor& timesteps, const Conditioning&) {
    const auto level = [&](const Tensor& table) {
      return table.index_select(0, timesteps).view({-1, 1, 1, 1});
    };
    return (x_t - level(d.levels.alphas) * target) / level(d.levels.sigmas);
  };
  const Shape shape{kBatch, 4, kSide, kSide};
  const auto error = [&](int64_t iteration) {
    const torch::NoGradGuard no_grad;
    const StepDraws draws = draw_step(config, 99, iteration, shape);
    const Tensor x0 = simulate_student(d, batch.cond, draws, false);
    return ((x0 - target).square().mean() / target.square().mean()).item<double>();
  };
  const double before = error(1000);
  for (int64_t i = 0; i < config.iterations; ++i) {
    train_step(d, batch, draw_step(config, 0, i, shape), schedule_of(config, i));
  }
  const double after = error(1001);  // of noise that it has never seen
  RecordProperty("relative_error", std::to_string(before) + " to " + std::to_string(after));
  fmt::print("relative error {:.4f} before, {:.4f} after 200 iterations\n", before, after);
  EXPECT_LT(after, 0.15);  // squared, of the picture's own size
  EXPECT_LT(after, 0.2 * before);
}

}  // namespace
}  // namespace fourstep
