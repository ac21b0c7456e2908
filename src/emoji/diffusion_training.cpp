#include "emoji/diffusion_training.h"

#include "io/fields_json.h"
#include "train/captions.h"
#include "train/noise_levels.h"
#include "train/optimizer.h"
#include "train/random.h"

namespace fourstep {

namespace {

Tensor diffusion_loss(SmallModel& model, const LatentBatch& batch, const NoiseLevels& levels,
                      const TrainConfig& config, int64_t iteration) {
  const torch::Device device = levels.alphas.device();
  const int64_t count = batch.latents.size(0);
  const int64_t side = batch.latents.size(2) * 8;
  const Tensor x0 = batch.latents.to(device);
  const Tensor noise =
      draw_normal({config.seed, "diffusion noise", iteration}, shape_of(x0)).to(device);
  const Tensor timesteps = draw_stratified_timesteps({config.seed, "diffusion t", iteration},
                                                     levels.alphas.size(0), count)
                               .to(device);
  const Tensor is_kept =
      draw_uniform({config.seed, "caption dropout", iteration}, count) >= config.cfg_dropout;
  const MixedPrecision mixed(config.precision, device);
  const Conditioning cond =
      drop_captions(encode_captions(model.text_encoders(), batch.captions, side), is_kept);
  const Tensor eps = model.unet->forward({levels.add_noise(x0, noise, timesteps), timesteps,
                                          cond.context, cond.pooled, cond.time_ids});
  const Tensor weights = min_snr_weight(levels, timesteps, config.min_snr_gamma) *
                         high_noise_weight(levels, timesteps, config.high_noise_power);
  return weighted_loss(eps, noise, weights);
}

}  // namespace

LoopOptions diffusion_loop_options(const TrainConfig& config, bool is_resumed) {
  return {.folder = config.out,
          .name = "diffusion",
          .iterations = config.iterations,
          .save_every = config.save_every,
          .sample_every = config.sample_every,
          .is_resumed = is_resumed,
          // A run may be made longer: the learning rate then follows the new number of iterations.
          .settings = texts_of_fields(config, {"out", "iterations", "save_every", "sample_every"})};
}

void train_diffusion(const DiffusionTask& task, const TrainConfig& config, bool is_resumed,
                     const Events& events) {
  const NamedTensors parameters = task.model.parameters();
  require_gradients(parameters, true);
  const NoiseLevels levels =
      noise_levels_of(make_sdxl_noise_schedule(), parameters.begin()->second.device());
  AdamW optimizer(parameters, {.beta2 = 0.99, .weight_decay = config.weight_decay});
  Loop loop;
  loop.step = [&](int64_t i) -> LossRow {
    const Tensor loss = diffusion_loss(task.model, task.batch(i), levels, config, i);
    loss.backward();
    const double norm = clip_gradients(parameters, config.max_grad_norm);
    const double lr = learning_rate_at(i, config.iterations, config.lr, config.warmup, 0.02);
    optimizer.step(lr);
    // Early on the average would mostly hold first weights.
    const double ema = std::min(config.ema, (1.0 + i) / (10.0 + i));
    update_average(task.average, parameters, ema);
    return {{"loss", loss.item<double>()}, {"grad", norm}, {"lr", lr}};
  };
  loop.state = [&] {
    NamedTensors all;
    add_prefixed(all, "model", parameters);
    add_prefixed(all, "average", task.average);
    add_prefixed(all, "optimizer", optimizer.state());
    return all;
  };
  loop.restore = [&](const NamedTensors& state) {
    copy_tensors(take_prefixed(state, "model"), parameters, "model");
    copy_tensors(take_prefixed(state, "average"), task.average, "weight average");
    optimizer.load(take_prefixed(state, "optimizer"));
  };
  loop.sample = task.sample;
  run_loop(diffusion_loop_options(config, is_resumed), loop, events);
  require_gradients(parameters, false);
}

}  // namespace fourstep
