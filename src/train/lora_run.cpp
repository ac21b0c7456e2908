#include "train/lora_run.h"

#include "base/error.h"
#include "pipeline/sampling_plan.h"
#include "train/captions.h"
#include "train/random.h"

namespace fourstep {

namespace {

/// Factor on the loss of fp16 networks, taken out of the gradients again: those of a mean over a
/// whole latent would fall below fp16's smallest numbers.
constexpr double kHalfLossScale = 4096;

BucketOrder order_of(const TrainingImages& data, const LoraTrainConfig& config) {
  constexpr int64_t kMostPixels = 1 << 20;  // of a side
  std::vector<OrderedImage> images;
  for (const TrainingImage& image : data.images) {
    images.push_back(
        {image.size.target_width * kMostPixels + image.size.target_height, image.repeats});
  }
  return BucketOrder(images, config.batch, config.seed);
}

/// The settings may know better than the file.
NetworkOutput output_of(const Models& models, const LoraTrainConfig& config) {
  if (config.prediction == "auto") return models.traits().output;
  return config.prediction == "v_prediction" ? NetworkOutput::kV : NetworkOutput::kEps;
}

Tensor noise_of(const LoraRun& run, const Tensor& latents, int64_t iteration) {
  const uint64_t seed = run.config.seed;
  const Tensor noise = draw_normal({seed, "lora noise", iteration}, shape_of(latents));
  if (run.config.noise_offset == 0) return noise;
  const Shape per_channel{latents.size(0), latents.size(1), 1, 1};
  return noise +
         run.config.noise_offset * draw_normal({seed, "noise offset", iteration}, per_channel);
}

Conditioning condition_of(const LoraRun& run, const LoraBatch& batch, int64_t iteration) {
  const torch::NoGradGuard no_grad;
  const auto count = static_cast<int64_t>(batch.captions.size());
  const Tensor is_kept = draw_uniform({run.config.seed, "caption dropout", iteration}, count) >=
                         run.config.caption_dropout;
  if (run.has_zero_null()) {
    return drop_captions(encode_captions(run.encoders, batch.captions, batch.sizes), is_kept);
  }
  std::vector<std::string> captions = batch.captions;
  for (int64_t i = 0; i < count; ++i) {
    if (!is_kept[i].item<bool>()) captions[static_cast<size_t>(i)].clear();
  }
  return encode_captions(run.encoders, captions, batch.sizes);
}

void scale_gradients(const NamedTensors& parameters, double factor) {
  for (const auto& [name, parameter] : parameters) {
    if (parameter.grad().defined()) parameter.mutable_grad().mul_(factor);
  }
}

}  // namespace

void validate(const LoraTrainConfig& config) {
  if (config.model.empty()) throw InvalidRequest("train-lora: name the checkpoint with --model");
  if (config.data.empty())
    throw InvalidRequest("train-lora: name the folder of images with --data");
  check_word("--targets", config.targets, {"attention", "transformer", "full"});
  check_word("--prediction", config.prediction, {"auto", "epsilon", "v_prediction"});
  check_word("--precision", config.precision, {"auto", "fp32", "bf16", "fp16"});
}

std::vector<std::string> lora_targets(const std::string& preset) {
  std::vector<std::string> targets{"to_q", "to_k", "to_v", "to_out.0"};
  if (preset == "attention") return targets;
  if (preset == "full") return AdapterOptions().targets;
  if (preset != "transformer") throw InvalidRequest("no layers are known as \"{}\"", preset);
  for (const char* layer : {"proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"})
    targets.push_back(layer);
  return targets;
}

LoraRun make_lora_run(Models& models, const LoraTrainConfig& settings, const Events& events) {
  LoraTrainConfig config = settings;
  const ImageFolder folder = scan_image_folder(config.data);
  for (const std::string& notice : folder.notices) events.notice(notice);
  std::filesystem::create_directories(config.out);
  const int64_t side = config.resolution > 0 ? config.resolution : models.traits().native_side;
  const LatentEncoder encoder = latent_encoder("train-lora", models, events);
  const std::filesystem::path latents =
      config.latents.empty() ? config.out + "/latents.safetensors" : config.latents;
  const LatentCacheOptions cache{latents, make_buckets(side, config.buckets)};
  TrainingImages data = encode_images(folder, cache, encoder, events);
  BucketOrder order = order_of(data, config);
  if (config.epochs > 0) config.iterations = config.epochs * order.batches_per_epoch();

  UNet unet = models.unet(events);
  require_gradients(parameters_of(*unet), false);
  const AdapterOptions options{config.rank, config.alpha, lora_targets(config.targets)};
  const auto adapter = std::make_shared<Adapter>(unet, options, config.seed);
  const NamedTensors factors = adapter->parameters();
  require_gradients(factors, true);
  const NoiseSchedule schedule = noise_schedule_of(Dialect::kFourstep, models.traits().zero_snr);
  return {config,
          models,
          std::move(data),
          std::move(order),
          models.text_encoders(events),
          unet,
          adapter,
          factors,
          AdamW(factors, {.beta2 = config.beta2, .weight_decay = config.weight_decay}),
          schedule,
          noise_levels_of(schedule, models.placement().device),
          output_of(models, config),
          side,
          encoder.identity};
}

LoraBatch lora_batch(LoraRun& run, int64_t iteration) {
  LoraBatch batch;
  std::vector<Tensor> latents;
  for (const int64_t index : run.order.batch(iteration)) {
    const TrainingImage& image = run.data.images[static_cast<size_t>(index)];
    latents.push_back(image.latent.to(torch::kFloat32));
    batch.captions.push_back(image.caption);
    batch.sizes.push_back(image.size);
  }
  batch.latents = at::stack(latents);
  return batch;
}

Tensor lora_loss(LoraRun& run, const LoraBatch& batch, int64_t iteration) {
  const torch::Device device = run.models.placement().device;
  const Tensor x0 = batch.latents.to(device);
  const Tensor noise = noise_of(run, batch.latents, iteration).to(device);
  const Tensor timesteps = draw_stratified_timesteps({run.config.seed, "lora t", iteration},
                                                     run.levels.alphas.size(0), x0.size(0))
                               .to(device);
  const Conditioning cond = condition_of(run, batch, iteration);
  const UNetExtras extras{.adapters = run.adapter->branches(),
                          .checkpointing = run.config.gradient_checkpointing};
  const Tensor prediction =
      run.unet->forward({run.levels.add_noise(x0, noise, timesteps), timesteps, cond.context,
                         cond.pooled, cond.time_ids, &extras});
  const bool is_v = run.output == NetworkOutput::kV;
  const Tensor target = is_v ? run.levels.v_target(x0, noise, timesteps) : noise;
  return weighted_loss(prediction, target,
                       min_snr_weight(run.levels, timesteps, run.config.min_snr_gamma, run.output));
}

LossRow lora_step(LoraRun& run, int64_t iteration) {
  const LoraTrainConfig& config = run.config;
  const Tensor loss = lora_loss(run, lora_batch(run, iteration), iteration);
  const bool is_half = run.models.placement().dtype == torch::kFloat16;
  (is_half ? loss * kHalfLossScale : loss).backward();
  if (is_half) scale_gradients(run.factors, 1 / kHalfLossScale);
  const double norm = clip_gradients(run.factors, config.max_grad_norm);
  const double lr = learning_rate_at(iteration, config.iterations, config.lr, config.warmup,
                                     config.last_lr_share);
  run.optimizer.step(lr);
  return {{"loss", loss.item<double>()}, {"grad", norm}, {"lr", lr}};
}

}  // namespace fourstep
