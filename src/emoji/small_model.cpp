#include "emoji/small_model.h"

#include <array>
#include <utility>

#include "base/error.h"
#include "io/fields_json.h"
#include "io/safetensors.h"
#include "io/single_file.h"
#include "nets/blocks.h"
#include "text/bpe.h"
#include "train/captions.h"
#include "train/loop.h"
#include "train/noise_levels.h"
#include "train/optimizer.h"
#include "train/random.h"

namespace fourstep {

namespace {

ClipConfig clip_config(const TrainConfig& config, size_t which, const Tokenizer& tokenizer) {
  ClipConfig clip;
  clip.vocab_size = tokenizer.vocab_size();
  clip.width = static_cast<int64_t>(config.text_widths.at(which));
  clip.heads = clip.width / 64;  // the head width that loaders take for granted
  clip.layers = config.text_layers;
  clip.mlp_width = 4 * clip.width;
  clip.eos_id = tokenizer.eos_id();
  if (which == 1) {
    clip.projection = clip.width;
    clip.activation = ClipActivation::kGelu;
  }
  return clip;
}

UNetConfig unet_config(const TrainConfig& config) {
  UNetConfig unet;
  for (size_t i = 0; i < config.unet_channels.size(); ++i) {
    UNetLevel& level = unet.levels.emplace_back();
    level.channels = static_cast<int64_t>(config.unet_channels[i]);
    level.heads = std::max<int64_t>(1, level.channels / 64);
    const auto depth = static_cast<int64_t>(config.unet_depths.at(i));
    level.down_depth.assign(2, depth);
    level.up_depth.assign(3, depth);
  }
  unet.mid_depth = static_cast<int64_t>(config.unet_depths.back());
  unet.cross_width = static_cast<int64_t>(config.text_widths[0] + config.text_widths[1]);
  unet.time_width = 4 * unet.levels.front().channels;
  constexpr int64_t kSizeWidth = 32;  // numbers per size or crop; SDXL has 256
  unet.added_width = static_cast<int64_t>(config.text_widths[1]) + 6 * kSizeWidth;
  return unet;
}

SmallModel make_with_vocabulary(const TrainConfig& config, std::string merges) {
  Tokenizer tokenizer(merges, "vocabulary of the captions");
  SmallModel model{std::move(merges), std::move(tokenizer)};
  model.text = ClipText(clip_config(config, 0, model.tokenizer));
  model.text_2 = ClipText(clip_config(config, 1, model.tokenizer));
  model.unet = UNet(unet_config(config));
  initialize(*model.text, {.seed = config.seed + 1});
  initialize(*model.text_2, {.seed = config.seed + 2});
  initialize(*model.unet, {.seed = config.seed + 3,
                           .gain = std::sqrt(3.0),
                           .zeroed = {"conv2", "proj_out", "conv_out"}});
  const int64_t last = static_cast<int64_t>(config.unet_channels.size()) - 1;
  const std::string resnet = fmt::format("up_blocks.{}.resnets.2", last);
  add_frame_reference(
      parameters_of(*model.unet),
      {resnet, {resnet + ".conv_shortcut"}, "conv_out", config.scenes.image_size / 8});
  return model;
}

/// Prefixes of SmallModel::parameters() and what they are in a checkpoint.
constexpr std::array kTrainedParts = {std::pair{"text", Component::kTextEncoder},
                                      std::pair{"text_2", Component::kTextEncoder2},
                                      std::pair{"unet", Component::kUnet}};

}  // namespace

NamedTensors SmallModel::parameters() {
  NamedTensors all;
  for (const auto& [prefix, module] : std::initializer_list<std::pair<std::string, nn::Module*>>{
           {"text", text.get()}, {"text_2", text_2.get()}, {"unet", unet.get()}}) {
    add_prefixed(all, prefix, parameters_of(*module));
  }
  return all;
}

TextEncoders SmallModel::text_encoders() {
  return sdxl_text_encoders(tokenizer, *text, tokenizer, *text_2);
}

SmallModel make_small_model(const TrainConfig& config, const std::vector<std::string>& words) {
  return make_with_vocabulary(config, learn_merges(words));
}

SmallModel load_small_model(const TrainConfig& config, const Checkpoint& checkpoint) {
  if (checkpoint.merges_text.empty()) {
    throw Error(
        "load_small_model: {} has no vocabulary of its own (metadata \"fourstep.merges\"); name a "
        "model that \"fourstep train\" made",
        checkpoint.path.string());
  }
  SmallModel model = make_with_vocabulary(config, checkpoint.merges_text);
  NamedTensors weights;
  for (const auto& [prefix, component] : kTrainedParts) {
    const auto found = checkpoint.components.find(component);
    if (found != checkpoint.components.end()) add_prefixed(weights, prefix, found->second);
  }
  copy_tensors(weights, model.parameters(), checkpoint.path.string());
  return model;
}

void write_small_model(const std::filesystem::path& path, SmallModel& model,
                       const NamedTensors& parameters, Vae& vae, const Metadata& metadata) {
  Checkpoint checkpoint;
  checkpoint.path = path;
  checkpoint.merges_text = model.merges_text;
  checkpoint.metadata = metadata;
  for (const auto& [prefix, component] : kTrainedParts) {
    checkpoint.components[component] = take_prefixed(parameters, prefix);
  }
  checkpoint.components[Component::kVae] = parameters_of(*vae);
  for (auto& [component, tensors] : checkpoint.components) {
    for (auto& [name, tensor] : tensors) tensor = tensor.detach().to(torch::kCPU, torch::kFloat16);
  }
  const TensorFile file = single_file_of(checkpoint);
  write_safetensors(path, file.tensors, file.metadata);
}

namespace {

constexpr int64_t kMostPerGroup = 4;
constexpr double kVariance = 3;      // of the frame over the map: that of a lively channel
constexpr double kConstantBias = 2;  // in front of the SiLU

const Tensor& at_name(const NamedTensors& parameters, const std::string& name) {
  const auto found = parameters.find(name);
  if (found == parameters.end()) throw Error("frame reference: the network has no \"{}\"", name);
  return found->second;
}

/// The last channel of each group.
Tensor frame_channels(int64_t channels) {
  const int64_t per_group = channels / kNormGroups;
  return at::arange(per_group - 1, channels, per_group, at::TensorOptions(torch::kInt64));
}

void clear_rows(const NamedTensors& parameters, const std::string& layer, const Tensor& rows) {
  at_name(parameters, layer + ".weight").index_fill_(0, rows, 0);
  at_name(parameters, layer + ".bias").index_fill_(0, rows, 0);
}

/// Zero over a constant, and over a constant that ends at a straight border 3.
Tensor laplacian() {
  const Tensor kernel = at::full({3, 3}, -1.0);
  kernel[1][1] = 8;
  return kernel;
}

/// Strength of a frame one pixel wide that has kVariance over a map of this side.
double frame_strength(int64_t side) {
  const auto n = static_cast<double>(side);
  const double share = 4 * (n - 1) / (n * n);
  return std::sqrt(kVariance / (share * (1 - share)));
}

}  // namespace

void add_frame_reference(const NamedTensors& parameters, const FramePlace& place) {
  const std::string norm2 = place.last_resnet + ".norm2", conv2 = place.last_resnet + ".conv2";
  const Tensor& weight = at_name(parameters, conv2 + ".weight");
  const int64_t per_group = weight.size(0) / kNormGroups;
  if (per_group < 2 || per_group > kMostPerGroup) return;
  const Tensor frames = frame_channels(weight.size(0));
  for (const std::string& writer : place.writers) clear_rows(parameters, writer, frames);
  clear_rows(parameters, conv2, frames);

  // A channel inside the resnet that is the same everywhere.
  const int64_t constant = weight.size(1) - 1;
  at_name(parameters, norm2 + ".weight")[constant].fill_(0);
  at_name(parameters, norm2 + ".bias")[constant].fill_(kConstantBias);
  const double height = kConstantBias / (1 + std::exp(-kConstantBias));
  weight.select(1, constant).fill_(0);
  weight.select(1, constant)
      .index_copy_(0, frames,
                   (laplacian() * (frame_strength(place.side) / (3 * height)))
                       .expand({frames.size(0), 3, 3}));
  at_name(parameters, place.conv_out + ".weight").index_fill_(1, frames, 0);
}

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
