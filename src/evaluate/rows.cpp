#include "evaluate/rows.h"

#include <chrono>

#include "base/error.h"
#include "pipeline/decode.h"
#include "pipeline/precision.h"
#include "pipeline/sampling_plan.h"
#include "sampling/samplers.h"
#include "sampling/schedules.h"
#include "train/captions.h"

namespace fourstep {

namespace {

constexpr RowKind kKinds[] = {RowKind::kReal, RowKind::kTeacher, RowKind::kBase, RowKind::kStudent};

RowKind kind_from_text(const std::string& text) {
  for (const RowKind kind : kKinds) {
    if (text == to_string(kind)) return kind;
  }
  throw InvalidRequest("--rows: \"{}\" is none of real, teacher, base and student", text);
}

std::vector<LoraUse> student_loras(const EvaluateConfig& config) {
  std::vector<LoraUse> loras;
  value_from_text(FieldInfo{"lora", ""}, config.lora, loras);
  for (const LoraUse& lora : loras) single_weight(lora);  // sample_batch() knows no steps
  return loras;
}

SampleOptions teacher_sampling(const EvaluateConfig& config, int64_t steps) {
  return {.sampler = config.teacher_sampler,
          .schedule = config.teacher_schedule,
          .steps = steps,
          .cfg_scale = config.teacher_cfg};
}

/// Whole numbers of a list of steps; the list of fields has no type for them.
std::vector<int64_t> whole(const std::vector<double>& numbers) {
  return {numbers.begin(), numbers.end()};
}

void add_student_rows(const EvaluateConfig& config, std::vector<EvaluationRow>& rows) {
  const std::vector<LoraUse> loras = student_loras(config);
  if (loras.empty() && config.student.empty()) {
    throw InvalidRequest(std::string(
        "evaluate: a student is --lora FILE on top of --model, or --student FILE; name one, or "
        "leave \"student\" out of --rows"));
  }
  const std::string& model = config.student.empty() ? config.model : config.student;
  for (const int64_t steps : whole(config.student_steps)) {
    rows.push_back({RowKind::kStudent, model, loras, student_sampling(config, steps)});
  }
}

void add_rows(const EvaluateConfig& config, RowKind kind, std::vector<EvaluationRow>& rows) {
  if (kind == RowKind::kReal) {
    rows.push_back({});
    return;
  }
  if (config.model.empty()) {
    throw InvalidRequest("evaluate: the row \"{}\" needs --model", to_string(kind));
  }
  if (kind == RowKind::kStudent) return add_student_rows(config, rows);
  const bool is_base = kind == RowKind::kBase;
  for (const int64_t steps : whole(is_base ? config.base_steps : config.teacher_steps)) {
    const SampleOptions sampling =
        is_base ? student_sampling(config, steps) : teacher_sampling(config, steps);
    rows.push_back({kind, config.model, {}, sampling});
  }
}

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

int64_t pixels_per_cell(const ImageCodec& codec) {
  constexpr int64_t kTinyScale = 8;
  return codec.vae ? codec.vae->scale() : kTinyScale;
}

}  // namespace

const char* to_string(RowKind kind) {
  constexpr const char* kNames[] = {"real", "teacher", "base", "student"};
  return kNames[static_cast<int>(kind)];
}

int64_t EvaluationRow::steps() const {
  if (model.empty()) return 0;
  return sampling.timesteps.empty() ? sampling.steps
                                    : static_cast<int64_t>(sampling.timesteps.size());
}

std::string EvaluationRow::name() const {
  if (model.empty()) return "real pictures";
  return fmt::format("{}, {} step{}", to_string(kind), steps(), steps() == 1 ? "" : "s");
}

SampleOptions student_sampling(const EvaluateConfig& config, int64_t steps) {
  SampleOptions sampling{.sampler = config.student_sampler,
                         .schedule = config.student_schedule,
                         .steps = steps,
                         .cfg_scale = config.student_cfg};
  if (steps == 1 && config.student_schedule == "dmd2") sampling.timesteps = {999};
  return sampling;
}

std::vector<EvaluationRow> rows_of(const EvaluateConfig& config, bool has_real) {
  std::vector<EvaluationRow> rows;
  const std::string all = has_real ? "real;teacher;base;student" : "teacher;base;student";
  for (const std::string& word : split_text(config.rows.empty() ? all : config.rows, ';')) {
    const RowKind kind = kind_from_text(word);
    if (kind == RowKind::kReal && !has_real) {
      throw InvalidRequest(std::string(
          "--rows: \"real\" is for --emoji, where real pictures of the prompts are drawn; to "
          "compare with a folder of them name it with --data"));
    }
    add_rows(config, kind, rows);
  }
  if (rows.empty()) throw InvalidRequest(std::string("--rows names nothing to evaluate"));
  const NoiseSchedule schedule = make_sdxl_noise_schedule();
  for (const EvaluationRow& row : rows) {  // before hours of work, not within
    find_sampler(row.sampling.sampler);
    make_sigmas(row.sampling.schedule, schedule, static_cast<int>(row.sampling.steps));
  }
  return rows;
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
    const ModelTraits traits = models.traits();
    options.output = traits.output;
    options.noise_schedule = noise_schedule_of(Dialect::kFourstep, traits.zero_snr);
    if (models.text_encoders(Events{}).state != ContextState::kPenultimate) {
      const std::vector<std::string> nothing(static_cast<size_t>(count));
      options.uncond = encode_captions(models.text_encoders(Events{}), nothing, side);
    }
    const Tensor latents = sample_batch(models.unet(Events{}), cond, side / cell, options);
    Pictures pictures;
    pictures.images = decode_latent(models, latents, 0, Events{}).clamp(-1, 1);
    pictures.latents = latents.to(torch::kCPU, torch::kFloat32);
    pictures.seconds = seconds_since(start);
    return pictures;
  };
}

void check_side(Models& models, int64_t side) {
  const int64_t cell = pixels_per_cell(models.image_codec(Events{}));
  if (side % cell == 0) return;
  throw InvalidRequest(
      "evaluate: {} px is no multiple of {}, as the autoencoder of {} needs; change --resolution "
      "(with --emoji --image-size)",
      side, cell, models.vae_path().string());
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
    open.models = std::make_unique<Models>(FileSettings{.model = file}, placement);
    open.file = file;
  }
  open.lora_lines = open.models->set_loras(loras, false, events);
  return *open.models;
}

}  // namespace fourstep
