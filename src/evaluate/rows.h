#pragma once
// What is evaluated: rendered pictures, and models with their way of sampling.

#include <string>
#include <vector>

#include "evaluate/config.h"
#include "pipeline/request.h"
#include "train/sample_batch.h"

namespace fourstep {

enum class RowKind { kReal, kTeacher, kBase, kStudent };

/// "real", "teacher", "base", "student": the words of --rows.
const char* to_string(RowKind kind);

struct EvaluationRow {
  RowKind kind = RowKind::kReal;
  std::string model;  ///< file; empty: the pictures are rendered
  std::vector<LoraUse> loras = {};
  SampleOptions sampling = {};  ///< the seed is that of each set of prompts

  int64_t steps() const;     ///< 0 for rendered pictures
  std::string name() const;  ///< "student, 4 steps"; "real pictures"
};

/// Where the schedule is "dmd2", timesteps 999; 999, 499; 999, 749, 499, 249; in general that schedule but for one step, where
/// a student that was distilled for several begins at 999 (only the published one-step model at 399).
SampleOptions student_sampling(const EvaluateConfig& config, int64_t steps);

/// In the order of --rows; those of a kind by rising number of steps as given.
/// Throws InvalidRequest for an unknown word, a missing --model, a student without --lora and --student, and
/// samplers or schedules that do not exist.
std::vector<EvaluationRow> rows_of(const EvaluateConfig& config);

}  // namespace fourstep
