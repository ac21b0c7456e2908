#pragma once
// What is evaluated: real pictures, and models with their way of sampling.

#include <memory>
#include <string>
#include <vector>

#include "evaluate/subject.h"
#include "request/request.h"

namespace fourstep {

enum class RowKind { kReal, kTeacher, kBase, kStudent };

/// "real", "teacher", "base", "student": the words of --rows.
const char* to_string(RowKind kind);

struct EvaluationRow {
  RowKind kind = RowKind::kReal;
  std::string model = {};  ///< file; empty: the pictures are real ones
  std::vector<LoraUse> loras = {};
  SamplingSettings sampling = {};

  int64_t steps() const;     ///< 0 for real pictures
  std::string name() const;  ///< "student, 4 steps"; "real pictures"
};

/// Where the schedule is "dmd2", timesteps 999; 999, 499; 999, 749, 499, 249; in general that
/// schedule but for one step, where a student that was distilled for several begins at 999 (only
/// the published one-step model at 399).
SamplingSettings student_sampling(const EvaluateConfig& config, int64_t steps);

/// In the order of --rows, or all; those of a kind by number of steps as given. has_real: whether
/// the subject has a row of real pictures.
/// Throws InvalidRequest for an unknown word, a missing --model, a student without --lora and
/// --student, and samplers or schedules that do not exist.
std::vector<EvaluationRow> rows_of(const EvaluateConfig& config, bool has_real);

/// What a model with its LoRAs set draws for the captions: each picture is that of `generate` with
/// the caption as its prompt and the set's seed plus its number, up to rounding. side: of the
/// pictures in px.
PictureSource sampled_pictures(Models& models, const EvaluationRow& row, int64_t side);

/// Throws InvalidRequest for a side that the autoencoder of the model cannot make.
void check_side(Models& models, int64_t side);

/// One model in memory at a time: rows of the same file share it.
struct OpenModel {
  std::string file;
  std::unique_ptr<Models> models;
  std::vector<std::string> lora_lines;  ///< what fitted, see Models::set_loras()
};

/// Where the config's models compute. Throws InvalidRequest for an unknown device or precision.
Placement placement_of(const EvaluateConfig& config);

/// Opens `file` unless it is open, and sets its LoRAs.
Models& model_of(OpenModel& open, const std::string& file, const std::vector<LoraUse>& loras,
                 const Placement& placement, const Events& events);

}  // namespace fourstep
