#pragma once
// The results of an evaluation for people: table, plots, contact sheet, and a page that explains
// them.

#include <filesystem>
#include <string>
#include <vector>

#include "evaluate/measure.h"
#include "io/image.h"
#include "report/table.h"

namespace fourstep {

/// All that an evaluation found.
struct Evaluation {
  std::vector<JudgeTest> judge_tests = {};
  std::vector<std::string> questions = {};                   ///< of the judge
  std::vector<std::pair<std::string, int64_t>> counts = {};  ///< pictures per row, by judged set
  std::vector<MeasuredRow> rows = {};
  std::vector<std::string> sheet_captions = {};   ///< of the pictures of each row
  std::vector<std::filesystem::path> files = {};  ///< written
};

/// One line per row; shares in percent, "-" for what was not measured. A column that no row has a
/// number for is left out.
Table evaluation_table(const std::vector<MeasuredRow>& rows);

/// Over the number of steps, one curve each for student, base and teacher and each judged set: how
/// many pictures are right about the judge's last question, in percent. Without a judge an empty
/// text.
std::string accuracy_plot(const std::vector<MeasuredRow>& rows);

/// The same for a Fréchet distance; an empty text where it was not measured. field: a member of
/// RowResult.
std::string frechet_plot(const std::vector<MeasuredRow>& rows, const std::string& title,
                         std::optional<double> RowResult::*field);

/// A row of pictures per row of the table, a column per caption. Without text where the build
/// cannot draw it.
Image evaluation_sheet(const Evaluation& evaluation);

/// The page as Markdown; names the other files beside it.
std::string evaluation_markdown(const EvaluateConfig& config, const Evaluation& evaluation);

/// Writes evaluation.md, the plots and the sheet into config.out and lists them in
/// evaluation.files.
void write_evaluation(const EvaluateConfig& config, Evaluation& evaluation);

}  // namespace fourstep
