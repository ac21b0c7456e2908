#include "evaluate/rows.h"

#include "base/error.h"
#include "sampling/samplers.h"
#include "sampling/schedules.h"

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

std::vector<EvaluationRow> rows_of(const EvaluateConfig& config) {
  std::vector<EvaluationRow> rows;
  for (const std::string& word : split_text(config.rows, ';')) {
    add_rows(config, kind_from_text(word), rows);
  }
  if (rows.empty()) throw InvalidRequest(std::string("--rows names nothing to evaluate"));
  const NoiseSchedule schedule = make_sdxl_noise_schedule();
  for (const EvaluationRow& row : rows) {  // before hours of work, not within
    find_sampler(row.sampling.sampler);
    make_sigmas(row.sampling.schedule, schedule, static_cast<int>(row.sampling.steps));
  }
  return rows;
}

}  // namespace fourstep
