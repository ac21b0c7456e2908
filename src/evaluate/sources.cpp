#include "evaluate/sources.h"

#include <chrono>

#include "base/error.h"
#include "evaluate/pictures.h"
#include "pipeline/decode.h"
#include "pipeline/precision.h"
#include "train/captions.h"

namespace fourstep {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Times the factor; undefined when there is no encoder.
Tensor encode_images(const ImageCodec& codec, const Tensor& images, const torch::Device& device) {
  Tensor latents;
  if (codec.vae && codec.vae->encoder) {
    latents = Vae(codec.vae)->encode(images.to(device)).mean * codec.scaling_factor;
  } else if (codec.tiny_vae && codec.tiny_vae->encoder) {
    latents = TinyVae(codec.tiny_vae)->encode(images.to(device));
  }
  return latents.defined() ? latents.to(torch::kCPU) : latents;
}

int64_t pixels_per_cell(const ImageCodec& codec) {
  constexpr int64_t kTinyScale = 8;
  return codec.vae ? codec.vae->scale() : kTinyScale;
}

}  // namespace

PictureSource rendered_pictures(const EmojiData& data, Models* models) {
  return [&data, models](const PromptSet& set, int64_t begin, int64_t count) {
    const torch::NoGradGuard no_grad;
    const auto start = Clock::now();
    const std::span<const Scene> scenes(set.scenes);
    Pictures pictures;
    pictures.images =
        draw_scenes(data, scenes.subspan(static_cast<size_t>(begin), static_cast<size_t>(count)),
                    data.config().image_size);
    pictures.seconds = seconds_since(start);
    if (models != nullptr) {
      pictures.latents =
          encode_images(models->image_codec(Events{}), pictures.images, models->placement().device);
    }
    return pictures;
  };
}

PictureSource sampled_pictures(Models& models, const EvaluationRow& row, int64_t side) {
  const int64_t cell = pixels_per_cell(models.image_codec(Events{}));
  models.text_encoders(Events{});  // loaded here, so that the seconds are those of sampling
  models.unet(Events{});
  return [&models, row, side, cell](const PromptSet& set, int64_t begin, int64_t count) {
    const torch::NoGradGuard no_grad;
    const auto start = Clock::now();
    const std::span<const std::string> captions(set.captions);
    const Conditioning cond = encode_captions(
        models.text_encoders(Events{}),
        captions.subspan(static_cast<size_t>(begin), static_cast<size_t>(count)), side);
    SampleOptions options = row.sampling;
    options.seed = set.first_seed + static_cast<uint64_t>(begin);
    const Tensor latents = sample_batch(models.unet(Events{}), cond, side / cell, options);
    Pictures pictures;
    pictures.images = decode_latent(models, latents, 0, Events{}).clamp(-1, 1);
    pictures.latents = latents.to(torch::kCPU, torch::kFloat32);
    pictures.seconds = seconds_since(start);
    return pictures;
  };
}

void check_model(Models& models, int64_t side) {
  const std::string file = models.checkpoint().path.string();
  if (!models.checkpoint().has(Component::kTextEncoder2)) {
    throw InvalidRequest("evaluate: {} is {}; only models with SDXL's two text encoders", file,
                         to_string(models.checkpoint().family));
  }
  if (models.network_output({}) != NetworkOutput::kEps || models.checkpoint().zero_terminal_snr) {
    throw InvalidRequest(
        "evaluate: {} predicts v or ends in pure noise; only eps prediction on SDXL's schedule",
        file);
  }
  const int64_t cell = pixels_per_cell(models.image_codec(Events{}));
  if (side % cell != 0) {
    throw InvalidRequest("evaluate: --image-size {} is no multiple of {}, as {} needs", side, cell,
                         file);
  }
}

Placement placement_of(const EvaluateConfig& config) {
  Placement placement;
  placement.device = device_from_text(config.device);
  placement.dtype = network_dtype(config.precision, placement.device);
  placement.vae_dtype = vae_dtype(config.precision, placement.dtype);
  return placement;
}

Models& model_of(OpenModel& open, const std::string& file, const std::vector<LoraUse>& loras,
                 const Placement& placement, const Events& events) {
  if (!open.models || open.file != file) {
    open = OpenModel();  // first: two of them need not fit into memory
    Request request;
    request.model = file;
    open.models = std::make_unique<Models>(request, placement);
    open.file = file;
  }
  open.lora_lines = open.models->set_loras(loras, false, events);
  return *open.models;
}

}  // namespace fourstep
