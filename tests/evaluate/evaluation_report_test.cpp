#include "evaluate/evaluation_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fourstep {
namespace {

using ::testing::HasSubstr;

TEST(EvaluationReport, ShowsSharesInPercentAndLeavesOutEmptyColumns) {
  MeasuredRow row;
  row.result.row = "student, 4 steps";
  row.result.kind = "student";
  row.result.steps = 4;
  row.result.shares = {{"seen", "emoji", 0.5}, {"seen", "relation", std::nullopt}};
  row.result.frechet_features = 12.34567;
  const Table table = evaluation_table({row});
  ASSERT_EQ(table.rows.size(), 1u);
  const std::vector<std::string>& cells = table.rows[0];
  EXPECT_EQ(cells.size(), table.columns.size());
  EXPECT_EQ(cells[0], "student, 4 steps");
  EXPECT_EQ(cells[1], "4");
  EXPECT_EQ(cells[2], "50.0");
  EXPECT_EQ(table.columns[2].heading, "seen: emoji");
  EXPECT_THAT(cells, ::testing::Contains("12.35"));
}

TEST(EvaluationReport, PlotsCurvesOverStepsAndSingleRowsAsLines) {
  std::vector<MeasuredRow> rows(3);
  for (size_t i = 0; i < 3; ++i) {
    RowResult& row = rows[i].result;
    row.kind = i == 0 ? "teacher" : "student";
    row.row = i == 0 ? "teacher, 50 steps" : "student";
    row.steps = i == 0 ? 50 : static_cast<int64_t>(i);
    const double right = 0.25 * static_cast<double>(i + 1);
    row.shares = {{"seen", "all", right}, {"held out", "all", right}};
    row.frechet_features = 10;
  }
  EXPECT_THAT(accuracy_plot(rows), HasSubstr("student, held out"));
  EXPECT_THAT(accuracy_plot(rows), HasSubstr("teacher, 50 steps"));
  EXPECT_THAT(frechet_plot(rows, "Distance", &RowResult::frechet_features), HasSubstr("Distance"));
}

}  // namespace
}  // namespace fourstep
