#include "distill/trainer.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "distill/run_report.h"
#include "distill/train_step.h"
#include "io/fields_json.h"
#include "io/safetensors.h"
#include "train/captions.h"
#include "train/loop.h"
#include "train/lora_export.h"
#include "train/workers.h"

namespace fourstep {

namespace {

/// What the iterations of one run share.
struct Run {
  const DistillConfig& config;
  const DistillSources& sources;
  TextEncoders encoders;
  Distillation distillation;
  NamedTensors average;  ///< of the student; the student itself without EMA
  Shape latent_shape;    ///< [batch,4,h,w], of all processes together
  Workers workers;
  torch::Device device;
};

/// The captions that this process works on.
std::span<const std::string> own_part(const Run& run, const std::vector<std::string>& captions) {
  const auto [begin, count] = run.workers.part_of(run.config.batch);
  return std::span(captions).subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
}

DistillBatch make_batch(const Run& run, int64_t iteration, bool has_gan) {
  const torch::NoGradGuard no_grad;
  const int64_t side = run.sources.side;
  const std::vector<std::string> prompts = run.sources.prompts(iteration);
  DistillBatch batch;
  batch.cond = encode_captions(run.encoders, own_part(run, prompts), side);
  if (!has_gan) return batch;
  const auto [begin, count] = run.workers.part_of(run.config.batch);
  const RealBatch real = run.sources.real(iteration);
  batch.real = real.latents.narrow(0, begin, count).to(run.device);
  batch.real_cond = encode_captions(run.encoders, own_part(run, real.captions), side);
  return batch;
}

/// Means over all processes.
LossRow averaged(const Workers& workers, LossRow row) {
  std::vector<double> values;
  for (const auto& [name, value] : row) {
    if (value) values.push_back(*value);
  }
  values = workers.average(std::move(values));
  auto next = values.begin();
  for (auto& [name, value] : row) {
    if (value) value = *next++;
  }
  return row;
}

LossRow row_of(const StepResult& result, const StepSchedule& schedule) {
  LossRow row{{"fake", result.critic_loss},
              {"dm", result.matching_loss},
              {"gan", result.gan_loss},
              {"disc", result.discriminator_loss},
              {"grad_student", result.student_grad_norm},
              {"grad_critic", result.critic_grad_norm},
              {"cfg", schedule.cfg_scale},
              {"lr", schedule.student_lr}};
  for (const auto& [name, value] : latent_statistics(result)) row.emplace_back(name, value);
  return row;
}

LossRow run_iteration(Run& run, int64_t iteration) {
  const StepSchedule schedule = schedule_of(run.config, iteration);
  const auto [begin, count] = run.workers.part_of(run.config.batch);
  const StepDraws draws =
      part_of(draw_step(run.config, run.config.seed, iteration, run.latent_shape), begin, count,
              run.device);
  const StepResult result =
      train_step(run.distillation, make_batch(run, iteration, schedule.has_gan), draws, schedule);
  if (schedule.is_student_turn && run.config.ema > 0) {
    update_average(run.average, run.distillation.views.student.trainable, run.config.ema);
  }
  return averaged(run.workers, row_of(result, schedule));
}

NamedTensors state_of(const Run& run) {
  NamedTensors all;
  add_prefixed(all, "student", run.distillation.views.student.trainable);
  add_prefixed(all, "average", run.average);
  add_prefixed(all, "critic", run.distillation.critic_parameters());
  add_prefixed(all, "student_optimizer", run.distillation.student_optimizer.state());
  add_prefixed(all, "critic_optimizer", run.distillation.critic_optimizer.state());
  return all;
}

void restore(Run& run, const NamedTensors& state) {
  copy_tensors(take_prefixed(state, "student"), run.distillation.views.student.trainable,
               "student");
  copy_tensors(take_prefixed(state, "average"), run.average, "student's average");
  copy_tensors(take_prefixed(state, "critic"), run.distillation.critic_parameters(), "critic");
  run.distillation.student_optimizer.load(take_prefixed(state, "student_optimizer"));
  run.distillation.critic_optimizer.load(take_prefixed(state, "critic_optimizer"));
}

const NamedTensors& result_of(const Run& run) {
  return run.config.ema > 0 ? run.average : run.distillation.views.student.trainable;
}

void write_result(const Run& run) {
  const std::filesystem::path out = run.config.out;
  const std::string title = fmt::format("DMD2 {}-step LoRA", run.config.timesteps.size());
  auto recipe = recipe_of(run.config);
  recipe.update(run.sources.settings);
  const Metadata metadata =
      lora_metadata({run.config.student_rank, run.config.student_alpha, title}, recipe);
  const View& student = run.distillation.views.student;
  if (student.adapter) {
    const std::string stem = fmt::format("dmd2_{}step_lora", run.config.timesteps.size());
    return write_lora_files(out / stem, *student.adapter, result_of(run), metadata);
  }
  NamedTensors halves;
  for (const auto& [name, tensor] : result_of(run))
    halves[name] = tensor.detach().to(torch::kFloat16);
  write_safetensors(
      out / fmt::format("dmd2_{}step_unet_fp16.safetensors", run.config.timesteps.size()), halves,
      metadata);
}

LoopOptions loop_options(const Run& run, bool is_resumed) {
  const DistillConfig& config = run.config;
  auto settings = texts_of_fields(config, {"model", "out", "data", "latents", "save_every",
                                           "sample_every", "gradient_checkpointing"});
  settings["resolution"] = std::to_string(run.sources.side);
  for (const auto& [name, value] : run.sources.settings.items()) {
    settings[name] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  settings["processes"] = std::to_string(run.workers.size());
  return {.folder = config.out,
          .name = "distill",
          .iterations = config.iterations,
          .save_every = config.save_every,
          .sample_every = config.sample_every,
          .is_resumed = is_resumed,
          .settings = std::move(settings),
          .is_writer = run.workers.is_first()};
}

Run make_run(Models& models, const DistillConfig& config, const DistillSources& sources,
             const Events& events) {
  check_training_side(models, sources.side);
  const int64_t latent_side = sources.side / 8;
  UNet unet = models.unet(events);
  Run run{config,
          sources,
          models.text_encoders(events),
          make_distillation(config, unet, {4, latent_side, latent_side}, config.seed),
          {},
          {config.batch, 4, latent_side, latent_side},
          Workers::from_environment(models.placement().device),
          models.placement().device};
  run.average = clone_tensors(run.distillation.views.student.trainable);
  run.distillation.average_gradients = [workers = run.workers](const NamedTensors& parameters) {
    workers.average_gradients(parameters);
  };
  return run;
}

}  // namespace

void distill(Models& models, const DistillConfig& config, const SourcesOpener& open_sources,
             bool is_resumed, const Events& events) {
  validate(config);
  if (models.checkpoint().prediction != Prediction::kEps) {
    throw InvalidRequest("distill: \"{}\" predicts {}; only eps models can be distilled so far",
                         config.model, to_string(models.checkpoint().prediction));
  }
  std::filesystem::create_directories(config.out);
  const DistillSources sources = open_sources(events);
  Run run = make_run(models, config, sources, events);
  RunReport report(models, config, sources.side, sources.examples(kSheetColumns));
  Loop loop;
  loop.step = [&](int64_t i) { return run_iteration(run, i); };
  loop.state = [&] { return state_of(run); };
  loop.restore = [&](const NamedTensors& state) { restore(run, state); };
  loop.sample = [&](int64_t i) {
    report.write(run.distillation, run.encoders, result_of(run), i, events);
  };
  run_loop(loop_options(run, is_resumed), loop, events);
  if (run.workers.is_first()) write_result(run);
}

}  // namespace fourstep
