#include "emoji/recipe.h"

#include "base/error.h"
#include "base/parallel.h"
#include "emoji/emoji_data.h"
#include "emoji/emoji_list.h"
#include "emoji/vae_training.h"
#include "io/checkpoint.h"
#include "io/fields_json.h"
#include "io/safetensors.h"
#include "report/contact_sheet.h"
#include "text/known_words.h"
#include "train/captions.h"
#include "train/loop.h"
#include "train/lora_export.h"
#include "train/optimizer.h"
#include "train/prompt_sampling.h"
#include "train/random.h"

namespace fourstep {

namespace {

void move_weights(nn::Module& module, torch::Device device) {
  load_weights(module, parameters_of(module), {.device = device}, "move_weights");
}

struct TrainedModel {
  SmallModel model;
  Vae vae{nullptr};  ///< normalised: latents times kSdxlScalingFactor have unit variance

  void move_to(torch::Device device) {
    move_weights(*model.text, device);
    move_weights(*model.text_2, device);
    move_weights(*model.unet, device);
    move_weights(*vae, device);
  }
};

struct Training {
  TrainedModel& trained;
  NamedTensors& average;  ///< of the diffusion model's weights
  const EmojiData& data;
};

constexpr int64_t kNormalizationImages = 512;
constexpr int64_t kEncodeBatch = 64;
constexpr uint64_t kSheetSeed = 7;
constexpr int64_t kSheetColumns = 8, kSheetSteps = 20;

ImageBatch random_crops(const EmojiData& data, const TrainConfig& config) {
  return [&data, &config](int64_t i) {
    const Tensor images =
        training_images(data, config.seed, i * config.vae_batch, config.vae_batch);
    const int64_t crop = std::min(config.vae_crop, images.size(2));
    const Tensor corners = draw_integers({config.seed, "crops", i}, 0, images.size(2) - crop + 1,
                                         2 * config.vae_batch);
    std::vector<Tensor> crops;
    for (int64_t j = 0; j < config.vae_batch; ++j) {
      const auto top = corners[2 * j].item<int64_t>(), left = corners[2 * j + 1].item<int64_t>();
      crops.push_back(images[j].narrow(1, top, crop).narrow(2, left, crop));
    }
    return at::stack(crops);
  };
}

Vae finished_vae(const TrainConfig& config, const EmojiData& data) {
  Vae vae = make_vae(config);
  const TrainingState state = load_training_state(state_path(vae_loop_options(config, false)));
  copy_tensors(take_prefixed(state.tensors, "vae"), parameters_of(*vae), "autoencoder");
  normalize_latents(vae, training_images(data, config.seed, 0, kNormalizationImages),
                    kSdxlScalingFactor);
  return vae;
}

/// Latents of the first config.latents training scenes, times the factor, fp16 [N,4,h,w]; from
/// OUT/latents.safetensors where an earlier run made them.
Tensor training_latents(Vae& vae, const TrainConfig& config, const EmojiData& data,
                        const Events& events) {
  const auto path = std::filesystem::path(config.out) / "latents.safetensors";
  auto settings = vae_loop_options(config, false).settings;
  settings["init"] = config.init;
  settings["latents"] = std::to_string(config.latents);
  if (std::filesystem::exists(path)) {
    const TensorFile file = open_safetensors(path);
    if (file.metadata == settings && file.tensors.count("latents")) {
      return file.tensors.at("latents").clone();
    }
  }
  const torch::NoGradGuard no_grad;
  const torch::Device device = vae->quant_conv->weight.device();
  std::vector<Tensor> parts;
  for (int64_t i = 0; i < config.latents; i += kEncodeBatch) {
    events.report({Stage::kData, i, config.latents});
    const int64_t count = std::min(kEncodeBatch, config.latents - i);
    const Tensor images = training_images(data, config.seed, i, count).to(device);
    const Tensor latents = vae->encode(images).mean * kSdxlScalingFactor;
    parts.push_back(latents.to(torch::kCPU, torch::kFloat16));
  }
  events.report({Stage::kData, config.latents, config.latents});
  const Tensor latents = at::cat(parts);
  write_safetensors(path, {{"latents", latents}}, settings);
  return latents;
}

/// Every epoch in another order, each picture with another wording of its caption.
std::function<LatentBatch(int64_t)> latent_batches(const Tensor& latents, const TrainConfig& config,
                                                   const EmojiData& data) {
  return [&, latents, order = Tensor(), order_epoch = int64_t{-1}](int64_t i) mutable {
    const int64_t per_epoch = std::max<int64_t>(1, latents.size(0) / config.batch);
    const int64_t epoch = i / per_epoch, place = i % per_epoch;
    if (epoch != order_epoch) {
      order = draw_uniform({config.seed, "order", epoch}, latents.size(0)).argsort();
      order_epoch = epoch;
    }
    const Tensor rows =
        order.narrow(0, place * config.batch, std::min(config.batch, latents.size(0)));
    std::vector<std::string> captions;
    for (int64_t j = 0; j < rows.size(0); ++j) {
      const auto row = rows[j].item<int64_t>();
      const Scene scene = data.scene(config.seed, row, Split::kTraining);
      captions.push_back(
          make_caption(scene, data.emoji(), config.seed + 1, epoch * latents.size(0) + row));
    }
    return LatentBatch{latents.index_select(0, rows).to(torch::kFloat32), captions};
  };
}

/// Pictures for fixed prompts: a row of seen combinations, two of held-out ones.
void write_sheet(TrainedModel& trained, const EmojiData& data, const std::filesystem::path& path) {
  const torch::NoGradGuard no_grad;
  std::vector<std::string> captions;
  for (int64_t i = 0; i < 3 * kSheetColumns; ++i) {
    const Split split = i < kSheetColumns ? Split::kTraining : Split::kHeldOut;
    captions.push_back(main_caption(data.scene(kSheetSeed, i, split), data.emoji()));
  }
  const int64_t side = data.config().image_size;
  const Conditioning cond = encode_captions(trained.model.text_encoders(), captions, side);
  const Tensor latents = sample_prompts(
      {.unet = trained.model.unet, .cond = cond, .side = side},
      {.steps = kSheetSteps, .sampler = "dpmpp_2m", .schedule = "karras", .cfg_scale = 3}, 0);
  const Tensor pixels =
      pixels_from_image(trained.vae->decode(latents / kSdxlScalingFactor).to(torch::kCPU));
  SheetSpec sheet;
  sheet.num_columns = kSheetColumns;
  sheet.row_labels = {"seen", "held out", "held out"};
  for (size_t i = 0; i < captions.size(); ++i) {
    sheet.cells.push_back({pixels[static_cast<int64_t>(i)], captions[i]});
  }
  write_image(path, contact_sheet(sheet));
}

/// The model has the weights of its average while `action` runs.
void with_average(SmallModel& model, const NamedTensors& average,
                  const std::function<void()>& action) {
  const NamedTensors parameters = model.parameters();
  const NamedTensors kept = clone_tensors(parameters);
  copy_tensors(average, parameters, "weight average");
  action();
  copy_tensors(kept, parameters, "weights");
}

/// What the diffusion stage begins with: the model of config.init, or a finished autoencoder and
/// first weights.
TrainedModel first_model(const TrainConfig& config, const EmojiData& data) {
  if (config.init.empty()) {
    return {make_small_model(config, caption_words(data.emoji())), finished_vae(config, data)};
  }
  const Checkpoint given = open_checkpoint(config.init);
  TrainedModel trained{load_small_model(config, given), make_vae(config)};
  const auto vae = given.components.find(Component::kVae);
  if (vae == given.components.end()) {
    throw Error("train: {} has no autoencoder; name a complete model with --init", config.init);
  }
  copy_tensors(vae->second, parameters_of(*trained.vae), config.init);
  return trained;
}

void train_autoencoder(const TrainConfig& config, const EmojiData& data, const TrainRun& run,
                       const Events& events) {
  if (!config.init.empty()) return;
  if (run.is_resumed && is_finished(vae_loop_options(config, true))) return;
  Vae vae = make_vae(config);
  move_weights(*vae, run.device);
  train_vae(vae, config, random_crops(data, config), run.is_resumed, events);
}

/// The decoder further, where the config says so, and the diffusion model on latents of the
/// encoder.
void train_networks(Training& training, const TrainConfig& config, const TrainRun& run,
                    const Events& events) {
  TrainedModel& trained = training.trained;
  if (config.decoder_iterations > 0) {
    train_decoder(trained.vae, config, random_crops(training.data, config), run.is_resumed, events);
  }
  if (config.iterations == 0) return;
  const Tensor latents = training_latents(trained.vae, config, training.data, events);
  DiffusionTask task{trained.model, training.average,
                     latent_batches(latents, config, training.data)};
  task.sample = [&](int64_t iteration) {
    with_average(trained.model, training.average, [&] {
      write_sheet(trained, training.data,
                  std::filesystem::path(config.out) / sheet_name(iteration));
    });
  };
  train_diffusion(task, config, run.is_resumed, events);
}

/// Keys of the Stability model specification, and what made the file.
std::map<std::string, std::string> model_metadata(const TrainConfig& config,
                                                  const EmojiData& data) {
  const int64_t side = config.scenes.image_size;
  return {{"modelspec.sai_model_spec", "1.0.0"},
          {"modelspec.architecture", "stable-diffusion-xl-v1-base"},
          {"modelspec.title", "emoji"},
          {"modelspec.resolution", fmt::format("{}x{}", side, side)},
          {kEmojiGroupsKey, config.emoji_groups},
          {kKnownWordsKey, fmt::format("{}", fmt::join(caption_words(data.emoji()), " "))},
          {"fourstep.recipe", dump_json(recipe_of(config))}};
}

}  // namespace

EmojiData open_emoji_data(const TrainConfig& config) {
  return open_emoji_data(config.scenes, config.emoji_groups, config.emoji_pack);
}

Tensor training_images(const EmojiData& data, uint64_t seed, int64_t begin, int64_t count) {
  std::vector<Tensor> images(static_cast<size_t>(count));
  parallel_for(count, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      images[static_cast<size_t>(i)] = data.example(seed, begin + i, Split::kTraining).image;
    }
  });
  return at::stack(images);
}

void export_emoji_model(const TrainConfig& config, const std::filesystem::path& path) {
  const EmojiData data = open_emoji_data(config);
  TrainedModel trained = first_model(config, data);
  const auto state = state_path(diffusion_loop_options(config, false));
  const NamedTensors average = take_prefixed(load_training_state(state).tensors, "average");
  copy_tensors(average, trained.model.parameters(), state.string());
  write_small_model(path, trained.model, average, trained.vae, model_metadata(config, data));
}

void train_emoji_model(const TrainConfig& config, const TrainRun& run, const Events& events) {
  check_training_precision(config.precision);  // now, not after the autoencoder
  const EmojiData data = open_emoji_data(config);
  std::filesystem::create_directories(config.out);
  train_autoencoder(config, data, run, events);
  TrainedModel trained = first_model(config, data);
  trained.move_to(run.device);
  const std::filesystem::path out = config.out;
  NamedTensors average = clone_tensors(trained.model.parameters());
  Training training{trained, average, data};
  train_networks(training, config, run, events);
  write_small_model(out / "model.safetensors", trained.model, average, trained.vae,
                    model_metadata(config, data));
}

}  // namespace fourstep
