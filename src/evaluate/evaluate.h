#pragma once
// From a model and its student to a table that says how good they are.

#include "base/events.h"
#include "evaluate/evaluation_report.h"

namespace fourstep {

/// Makes and judges the pictures of every row, and writes table, plots and sheet into config.out
/// after each row. Rows that an earlier run finished with the same settings and files are taken
/// from there, so an evaluation that was stopped goes on with its next row. All settings, models
/// and LoRAs are checked before the first picture, and before the subject is asked for its judge.
/// Throws Cancelled; InvalidRequest for settings that cannot work; Error naming the file that is
/// broken.
Evaluation evaluate_models(const EvaluateConfig& config, const EvaluationSubject& subject,
                           const Events& events);

}  // namespace fourstep
