#include "train/lora_training.h"

#include "base/error.h"
#include "base/text_tools.h"
#include "io/fields_json.h"
#include "pipeline/decode.h"
#include "report/contact_sheet.h"
#include "train/captions.h"
#include "train/loop.h"
#include "train/prompt_sampling.h"

namespace fourstep {

namespace {

constexpr size_t kMostPrompts = 8, kMostCaptions = 4;
constexpr uint64_t kSheetSeed = 1;

std::vector<std::string> prompts_of(const LoraRun& run) {
  std::vector<std::string> prompts;
  if (!run.config.sample_prompts.empty()) {
    prompts = read_prompts(run.config.sample_prompts);
    prompts.resize(std::min(prompts.size(), kMostPrompts));
    return prompts;
  }
  for (const TrainingImage& image : run.data.images) {
    const bool is_new = std::find(prompts.begin(), prompts.end(), image.caption) == prompts.end();
    if (is_new && prompts.size() < kMostCaptions) prompts.push_back(image.caption);
  }
  return prompts;
}

}  // namespace

LoraSheet::LoraSheet(const LoraRun& run) : prompts_(prompts_of(run)) {}

std::vector<Tensor> LoraSheet::pictures(LoraRun& run, Adapter* adapter,
                                        const Events& events) const {
  const Events quiet = without_progress(events);
  const Conditioning cond = encode_captions(run.encoders, prompts_, run.side);
  const std::vector<std::string> nothing{""};
  const SamplingSettings settings{.steps = run.config.sample_steps,
                                  .sampler = "dpmpp_2m",
                                  .schedule = "karras",
                                  .cfg_scale = run.config.sample_cfg_scale};
  PromptBatch batch{.unet = run.unet,
                    .adapters = branches_of(adapter),
                    .side = run.side,
                    .output = run.output,
                    .zero_snr = run.models.traits().zero_snr};
  if (!run.has_zero_null()) batch.uncond = encode_captions(run.encoders, nothing, run.side);
  std::vector<Tensor> pictures;
  for (size_t i = 0; i < prompts_.size(); ++i) {
    batch.cond = rows_of(cond, static_cast<int64_t>(i), 1);
    const Tensor latent = sample_prompts(batch, settings, kSheetSeed + i);
    quiet.report({});  // throws when the user wants to stop
    pictures.push_back(pixels_from_image(decode_latent(run.models, latent, 0, quiet))[0]);
  }
  return pictures;
}

void LoraSheet::write(LoraRun& run, int64_t iteration, const Events& events) {
  const torch::NoGradGuard no_grad;
  if (without_.empty()) without_ = pictures(run, nullptr, events);
  const std::vector<Tensor> with = pictures(run, run.adapter.get(), events);
  SheetSpec sheet;
  sheet.num_columns = static_cast<int64_t>(prompts_.size());
  sheet.title = fmt::format("iteration {}", iteration);
  sheet.column_labels = prompts_;
  sheet.row_labels = {"without", "with LoRA"};
  for (const auto& row : {without_, with}) {
    for (const Tensor& pixels : row) sheet.cells.push_back({pixels});
  }
  write_image(std::filesystem::path(run.config.out) / sheet_name(iteration), contact_sheet(sheet));
}

using Json = nlohmann::ordered_json;

namespace {

/// The name of a file or folder, also where its path ends in a slash.
std::string name_of(const std::filesystem::path& path) {
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

/// Python's words, which readers of these keys expect.
std::string python_text(bool value) { return value ? "True" : "False"; }

std::string folder_of(const LoraRun& run, const TrainingImage& image) {
  return image.group.empty() ? name_of(run.config.data) : image.group;
}

/// How often each tag (what stands between commas) occurs, by folder. Source: kohya's
/// set_tag_frequency().
Json tag_frequency(const LoraRun& run) {
  Json folders = Json::object();
  for (const TrainingImage& image : run.data.images) {
    Json& tags = folders[folder_of(run, image)];
    if (tags.is_null()) tags = Json::object();
    for (const std::string& part : split_text(image.caption, ',')) {
      const std::string tag = trimmed(part);
      if (!tag.empty()) tags[tag] = tags.value(tag, 0) + 1;
    }
  }
  return folders;
}

/// {"10_lamp": {"n_repeats": 10, "img_count": 3}}.
Json dataset_folders(const LoraRun& run) {
  Json folders = Json::object();
  for (const TrainingImage& image : run.data.images) {
    Json& folder = folders[folder_of(run, image)];
    if (folder.is_null()) folder = {{"n_repeats", 0}, {"img_count", 0}};
    folder["n_repeats"] = image.repeats;
    folder["img_count"] = folder["img_count"].get<int64_t>() + 1;
  }
  return folders;
}

/// What a resumed run must have equal. Where files lie, and what only people look at, may change.
std::map<std::string, std::string> settings_of(const LoraRun& run) {
  auto settings =
      texts_of_fields(run.config, {"model", "vae", "text_encoder", "text_encoder_2", "data",
                                   "latents", "out", "save_every", "sample_every", "sample_prompts",
                                   "sample_steps", "sample_cfg_scale", "gradient_checkpointing"});
  settings["model"] = name_of(run.config.model);
  settings["data"] = run.data.fingerprint;
  settings["latents"] = run.latents_identity;
  return settings;
}

Loop loop_of(LoraRun& run, const Events& events) {
  Loop loop;
  loop.step = [&run](int64_t i) { return lora_step(run, i); };
  loop.state = [&run] {
    NamedTensors all;
    add_prefixed(all, "lora", run.factors);
    add_prefixed(all, "optimizer", run.optimizer.state());
    return all;
  };
  loop.restore = [&run](const NamedTensors& state) {
    copy_tensors(take_prefixed(state, "lora"), run.factors, "LoRA");
    run.optimizer.load(take_prefixed(state, "optimizer"));
  };
  loop.sample = [&run, &events, sheet = LoraSheet(run)](int64_t i) mutable {
    sheet.write(run, i, events);
  };
  return loop;
}

}  // namespace

Metadata lora_run_metadata(const LoraRun& run) {
  const LoraTrainConfig& config = run.config;
  const bool is_sd15 = run.models.checkpoint().family == Family::kSd15;
  const std::string title = name_of(config.out);
  Metadata metadata = lora_metadata(
      {config.rank, config.alpha, title, is_sd15 ? "sd_v1" : "sdxl_base_v1-0"}, recipe_of(config));
  const int64_t per_epoch = run.order.batches_per_epoch();
  const int64_t epochs = (config.iterations + per_epoch - 1) / per_epoch;
  const Metadata more{
      {"modelspec.sai_model_spec", "1.0.0"},
      {"modelspec.architecture",
       is_sd15 ? "stable-diffusion-v1/lora" : "stable-diffusion-xl-v1-base/lora"},
      {"modelspec.prediction_type", run.output == NetworkOutput::kV ? "v" : "epsilon"},
      {"modelspec.resolution", fmt::format("{0}x{0}", run.side)},
      {"ss_v2", "False"},
      {"ss_output_name", title},
      {"ss_sd_model_name", name_of(config.model)},
      {"ss_resolution", fmt::format("({0}, {0})", run.side)},
      {"ss_enable_bucket", python_text(config.buckets)},
      {"ss_num_train_images", std::to_string(run.order.images_per_epoch())},
      {"ss_num_batches_per_epoch", std::to_string(per_epoch)},
      {"ss_num_epochs", std::to_string(epochs)},
      {"ss_epoch", std::to_string(epochs)},
      {"ss_max_train_steps", std::to_string(config.iterations)},
      {"ss_steps", std::to_string(config.iterations)},
      {"ss_batch_size_per_device", std::to_string(config.batch)},
      {"ss_learning_rate", text_from_value(config.lr)},
      {"ss_unet_lr", text_from_value(config.lr)},
      {"ss_text_encoder_lr", "None"},
      {"ss_lr_warmup_steps", std::to_string(config.warmup)},
      {"ss_lr_scheduler", config.last_lr_share == 1 ? "constant_with_warmup" : "cosine"},
      {"ss_optimizer", "torch.optim.adamw.AdamW"},
      {"ss_max_grad_norm", text_from_value(config.max_grad_norm)},
      {"ss_min_snr_gamma",
       config.min_snr_gamma > 0 ? text_from_value(config.min_snr_gamma) : "None"},
      {"ss_noise_offset", config.noise_offset > 0 ? text_from_value(config.noise_offset) : "None"},
      {"ss_caption_dropout_rate", text_from_value(config.caption_dropout)},
      {"ss_gradient_checkpointing", python_text(config.gradient_checkpointing)},
      {"ss_mixed_precision", config.precision == "fp32" ? "no" : config.precision},
      {"ss_seed", std::to_string(config.seed)},
      {"ss_dataset_dirs", dump_json(dataset_folders(run))},
      {"ss_tag_frequency", dump_json(tag_frequency(run))}};
  metadata.insert(more.begin(), more.end());
  return metadata;
}

void train_lora(Models& models, const LoraTrainConfig& config, bool is_resumed,
                const Events& events) {
  validate(config);
  LoraRun run = make_lora_run(models, config, events);
  const LoopOptions options{.folder = config.out,
                            .name = "lora",
                            .iterations = run.config.iterations,
                            .save_every = config.save_every,
                            .sample_every = config.sample_every,
                            .is_resumed = is_resumed,
                            .settings = settings_of(run)};
  run_loop(options, loop_of(run, events), events);
  write_lora_files(std::filesystem::path(config.out) / "lora", *run.adapter, run.factors,
                   lora_run_metadata(run));
}

}  // namespace fourstep
