#include "emoji/vae_training.h"

#include "base/error.h"
#include "emoji/small_model.h"
#include "io/fields_json.h"
#include "train/loop.h"
#include "train/optimizer.h"
#include "train/random.h"

namespace fourstep {

namespace {

/// Mean absolute error of the differences to the right and lower neighbour.
Tensor edge_error(const Tensor& a, const Tensor& b) {
  const Tensor error = a - b;
  const Tensor across = error.slice(3, 1) - error.slice(3, 0, -1);
  const Tensor down = error.slice(2, 1) - error.slice(2, 0, -1);
  return across.abs().mean() + down.abs().mean();
}

Tensor multi_scale_edges(Tensor a, Tensor b) {
  Tensor sum = edge_error(a, b);
  for (int i = 0; i < 2; ++i) {
    a = at::avg_pool2d(a, 2);
    b = at::avg_pool2d(b, 2);
    sum = sum + edge_error(a, b);
  }
  return sum;
}

Tensor sample_of(const LatentMoments& moments, const Tensor& noise) {
  return moments.mean + at::exp(0.5 * moments.logvar) * noise;
}

VaeLosses restoration_losses(const Tensor& restored, const Tensor& images,
                             const TrainConfig& config) {
  const Tensor pixels = (restored - images).abs().mean();
  const Tensor edges = multi_scale_edges(restored, images);
  return {pixels + config.vae_edges * edges, pixels.item<double>(), edges.item<double>(), {}};
}

/// Training of some of an autoencoder's weights.
struct VaeStage {
  Vae& vae;
  NamedTensors parameters;  ///< what is trained
  LoopOptions options;
  std::function<VaeLosses(const Tensor& images, const Tensor& noise)> losses;
};

LossRow row_of(const VaeLosses& losses, double norm) {
  LossRow row{{"pixels", losses.pixels}, {"edges", losses.edges}};
  if (losses.kl) row.emplace_back("kl", losses.kl);
  row.emplace_back("grad", norm);
  return row;
}

void run_vae_stage(const VaeStage& stage, const TrainConfig& config, const ImageBatch& batch,
                   const Events& events) {
  require_gradients(stage.parameters, true);
  AdamW optimizer(stage.parameters, {.weight_decay = 0});
  Loop loop;
  const torch::Device device = stage.parameters.begin()->second.device();
  loop.step = [&](int64_t i) -> LossRow {
    const Tensor images = batch(i).to(device);
    const int64_t side = images.size(2) / stage.vae->scale();
    const Tensor noise =
        draw_normal({config.seed, "posterior", i},
                    {images.size(0), stage.vae->config.latent_channels, side, side})
            .to(device);
    const VaeLosses losses = stage.losses(images, noise);
    losses.total.backward();
    const double norm = clip_gradients(stage.parameters, config.max_grad_norm);
    optimizer.step(learning_rate_at(i, stage.options.iterations, config.vae_lr, 50, 0.05));
    return row_of(losses, norm);
  };
  loop.state = [&] {
    NamedTensors all;
    add_prefixed(all, "vae", stage.parameters);
    add_prefixed(all, "optimizer", optimizer.state());
    return all;
  };
  loop.restore = [&](const NamedTensors& state) {
    copy_tensors(take_prefixed(state, "vae"), stage.parameters, "autoencoder");
    optimizer.load(take_prefixed(state, "optimizer"));
  };
  run_loop(stage.options, loop, events);
  require_gradients(stage.parameters, false);
}

/// The layers that add to the map of a block: its residual blocks but the last one, and what the
/// map begins as.
std::vector<std::string> writers_of(const NamedTensors& parameters, const std::string& block,
                                    int64_t resnets, const std::string& layer_before) {
  std::vector<std::string> writers;
  for (int64_t i = 0; i < resnets; ++i)
    writers.push_back(fmt::format("{}.resnets.{}.conv2", block, i));
  const std::string shortcut = block + ".resnets.0.conv_shortcut";
  const bool is_widened = parameters.count(shortcut + ".weight") != 0;
  writers.push_back(is_widened ? shortcut : layer_before);
  return writers;
}

/// See frame_reference.h: for the last norms of encoder and decoder.
void add_frame_references(Vae& vae, int64_t side) {
  const NamedTensors parameters = parameters_of(*vae);
  const int64_t resnets = vae->config.resnets;
  const auto last = static_cast<int64_t>(vae->config.channels.size()) - 1;
  std::vector<std::string> writers =
      writers_of(parameters, fmt::format("encoder.down_blocks.{}", last), resnets,
                 fmt::format("encoder.down_blocks.{}.downsamplers.0.conv", last - 1));
  writers.insert(writers.end(),
                 {"encoder.mid_block.resnets.0.conv2", "encoder.mid_block.attentions.0.to_out.0"});
  add_frame_reference(parameters, {"encoder.mid_block.resnets.1", writers, "encoder.conv_out",
                                   side / vae->scale()});
  const std::string block = fmt::format("decoder.up_blocks.{}", last);
  writers = writers_of(parameters, block, resnets,
                       fmt::format("decoder.up_blocks.{}.upsamplers.0.conv", last - 1));
  add_frame_reference(parameters, {fmt::format("{}.resnets.{}", block, resnets), writers,
                                   "decoder.conv_out", side});
}

/// What the autoencoder depends on.
std::map<std::string, std::string> settings_of(const TrainConfig& config) {
  std::map<std::string, std::string> settings = texts_of_fields(config.scenes);
  for (const auto& [name, text] : texts_of_fields(config)) {
    if (name.starts_with("vae_") || name == "seed" || name == "emoji_groups") settings[name] = text;
  }
  return settings;
}

}  // namespace

VaeLosses vae_losses(Vae& vae, const Tensor& images, const Tensor& noise,
                     const TrainConfig& config) {
  const LatentMoments moments = vae->encode(images);
  VaeLosses losses = restoration_losses(vae->decode(sample_of(moments, noise)), images, config);
  const Tensor kl =
      0.5 * (moments.mean.square() + moments.logvar.exp() - 1 - moments.logvar).mean();
  losses.total = losses.total + config.vae_kl * kl;
  losses.kl = kl.item<double>();
  return losses;
}

VaeLosses decoder_losses(Vae& vae, const Tensor& images, const Tensor& noise,
                         const TrainConfig& config) {
  const MixedPrecision guard(config.precision, images.device());
  Tensor latent;
  {
    const torch::NoGradGuard no_grad;
    latent = sample_of(vae->encode(images), noise);
  }
  return restoration_losses(vae->decode(latent).to(torch::kFloat32), images, config);
}

Vae make_vae(const TrainConfig& config) {
  VaeConfig shape;
  shape.channels.assign(config.vae_channels.begin(), config.vae_channels.end());
  shape.resnets = config.vae_resnets;
  Vae vae(shape);
  initialize(
      *vae,
      {.seed = config.seed, .gain = std::sqrt(3.0), .zeroed = {"conv2", "0"}});  // "0": to_out.0
  // A posterior as wide as its mean would hide the picture from the decoder for the first hundreds
  // of steps.
  constexpr double kFirstLogvar = -6;
  vae->quant_conv->bias.narrow(0, shape.latent_channels, shape.latent_channels).fill_(kFirstLogvar);
  add_frame_references(vae, config.scenes.image_size);
  return vae;
}

LoopOptions vae_loop_options(const TrainConfig& config, bool is_resumed) {
  return {.folder = config.out,
          .name = "vae",
          .iterations = config.vae_iterations,
          .save_every = config.save_every,
          .is_resumed = is_resumed,
          .settings = settings_of(config)};
}

void train_vae(Vae& vae, const TrainConfig& config, const ImageBatch& batch, bool is_resumed,
               const Events& events) {
  run_vae_stage({vae, parameters_of(*vae), vae_loop_options(config, is_resumed),
                 [&](const Tensor& images, const Tensor& noise) {
                   return vae_losses(vae, images, noise, config);
                 }},
                config, batch, events);
}

LoopOptions decoder_loop_options(const TrainConfig& config, bool is_resumed) {
  LoopOptions options = vae_loop_options(config, is_resumed);
  options.name = "decoder";
  options.iterations = config.decoder_iterations;
  options.settings["init"] = config.init;
  options.settings["precision"] = config.precision;
  return options;
}

void train_decoder(Vae& vae, const TrainConfig& config, const ImageBatch& batch, bool is_resumed,
                   const Events& events) {
  NamedTensors decoder;
  for (const auto& [name, weight] : parameters_of(*vae)) {
    if (name.starts_with("decoder.") || name.starts_with("post_quant_conv."))
      decoder[name] = weight;
  }
  run_vae_stage({vae, decoder, decoder_loop_options(config, is_resumed),
                 [&](const Tensor& images, const Tensor& noise) {
                   return decoder_losses(vae, images, noise, config);
                 }},
                config, batch, events);
}

void normalize_latents(Vae& vae, const Tensor& images, double scaling_factor) {
  const torch::NoGradGuard no_grad;
  constexpr int64_t kAtOnce = 16;
  std::vector<Tensor> parts;
  for (const Tensor& part : images.split(kAtOnce)) parts.push_back(vae->encode(part).mean);
  const Tensor mean = at::cat(parts).transpose(0, 1).flatten(1);            // [C,N*h*w]
  const Tensor shift = mean.mean(1), scale = mean.std(1) * scaling_factor;  // [C]
  const int64_t channels = shift.size(0);
  // latent' = (latent - shift) / scale; the log variance falls by 2 ln(scale).
  Tensor& weight = vae->quant_conv->weight;
  Tensor& bias = vae->quant_conv->bias;
  weight.narrow(0, 0, channels).div_(scale.view({-1, 1, 1, 1}));
  bias.narrow(0, 0, channels).sub_(shift).div_(scale);
  bias.narrow(0, channels, channels).sub_(2 * scale.log());
  // The way back: post_quant_conv sees scale * latent' + shift.
  Tensor& back = vae->post_quant_conv->weight;
  vae->post_quant_conv->bias.add_(at::conv2d(shift.view({1, -1, 1, 1}), back).flatten());
  back.mul_(scale.view({1, -1, 1, 1}));
}

}  // namespace fourstep
