#include "evaluate/rows.h"

#include <chrono>

#include "base/error.h"
#include "pipeline/decode.h"
#include "pipeline/guidance_setup.h"
#include "pipeline/precision.h"
#include "pipeline/prompt_plan.h"
#include "pipeline/sample_pass.h"
#include "pipeline/sampling_plan.h"

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
  return loras;
}

SamplingSettings teacher_sampling(const EvaluateConfig& config, int64_t steps) {
  return {.steps = steps,
          .sampler = config.teacher_sampler,
          .schedule = config.teacher_schedule,
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
    const SamplingSettings sampling =
        is_base ? student_sampling(config, steps) : teacher_sampling(config, steps);
    rows.push_back({kind, config.model, {}, sampling});
  }
}

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Conditioning stacked(const std::vector<const Conditioning*>& rows) {
  const auto stack = [&](Tensor Conditioning::*member) {
    std::vector<Tensor> tensors;
    for (const Conditioning* row : rows) tensors.push_back(row->*member);
    return tensors.front().defined() ? at::cat(tensors) : Tensor();
  };
  return {stack(&Conditioning::context), stack(&Conditioning::pooled), {}};
}

/// The plans as one with a row for each; nothing where they change over the steps, have parts of
/// their own, or differ in length.
std::optional<PromptPlan> joined(const std::vector<PromptPlan>& plans) {
  PromptPlan all = plans.front();
  std::vector<const Conditioning*> conds;
  for (const PromptPlan& plan : plans) {
    const Prompts& prompts = plan.stages.front();
    const bool is_plain = plan.stages.size() == 1 && !prompts.has_parts();
    const bool has_length = prompts.cond.context.size(1) == all.stages.front().cond.context.size(1);
    if (!is_plain || !has_length) return std::nullopt;
    conds.push_back(&prompts.cond);
  }
  all.stages.front().cond = stacked(conds);  // the negative prompt is that of all
  return all;
}

/// requests: alike but for prompt and seed, one for each row of the plan.
Tensor sample_plan(Models& models, std::span<const ResolvedRequest> requests,
                   const PromptPlan& prompts) {
  const ResolvedRequest& request = requests.front();
  const SamplingPlan plan = plan_sampling(request);
  GuidedUNet guided(models.unet(Events{}), guidance_setup(request, plan), prompts.stages,
                    prompts.spans);
  std::vector<ImageSeed> seeds;
  for (const ResolvedRequest& one : requests) seeds.push_back(one.seed);
  PassEstimates estimates = estimates_of(guided, plan);
  estimates.denoise = with_lora_steps(models, plan.sigmas, estimates.denoise, Events{});
  return sample_pass(plan, estimates,
                     {seeds, request.width, request.height, models.placement().device});
}

/// All at once where that is possible, else one by one.
Tensor sample_together(Models& models, std::span<const ResolvedRequest> requests,
                       const std::vector<PromptPlan>& plans) {
  const bool is_adaptive = find_sampler(requests.front().sampling.sampler).needs.adaptive;
  const auto all = is_adaptive ? std::nullopt : joined(plans);
  if (all) return sample_plan(models, requests, *all);
  std::vector<Tensor> latents;
  for (size_t i = 0; i < plans.size(); ++i) {
    latents.push_back(sample_plan(models, requests.subspan(i, 1), plans[i]));
  }
  return at::cat(latents);
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
  return sampling.steps.value_or(static_cast<int64_t>(sampling.timesteps.size()));
}

std::string EvaluationRow::name() const {
  if (model.empty()) return "real pictures";
  return fmt::format("{}, {} step{}", to_string(kind), steps(), steps() == 1 ? "" : "s");
}

SamplingSettings student_sampling(const EvaluateConfig& config, int64_t steps) {
  SamplingSettings sampling{.steps = steps,
                            .sampler = config.student_sampler,
                            .schedule = config.student_schedule,
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
  for (const EvaluationRow& row : rows) {  // before hours of work, not within
    if (row.model.empty()) continue;
    Request request;
    request.sampling = row.sampling;
    plan_sampling(resolve(request, {}));
  }
  return rows;
}

PictureSource sampled_pictures(Models& models, const EvaluationRow& row, int64_t side) {
  models.text_encoders(Events{});  // loaded here, so that the seconds are those of sampling
  models.unet(Events{});
  const auto cache = std::make_shared<EncodingCache>();
  return [&models, row, side, cache](const PromptSet& set, int64_t begin, int64_t count) {
    const torch::NoGradGuard no_grad;
    const auto start = Clock::now();
    Request request;
    request.picture = {.width = side, .height = side};
    request.sampling = row.sampling;
    const ModelTraits traits = models.traits();
    std::vector<PromptPlan> plans;
    std::vector<ResolvedRequest> resolved;
    for (int64_t i = begin; i < begin + count; ++i) {
      request.prompt.text = set.captions[static_cast<size_t>(i)];
      request.picture.seed = set.first_seed + static_cast<uint64_t>(i);
      resolved.push_back(resolve(request, traits));
      plans.push_back(encode_prompts(models, resolved.back(), Events{}, *cache));
    }
    Pictures pictures;
    pictures.latents = sample_together(models, resolved, plans).to(torch::kCPU, torch::kFloat32);
    pictures.images = decode_latent(models, pictures.latents, 0, Events{}).clamp(-1, 1);
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
