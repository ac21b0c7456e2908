#pragma once
// Numbers over iterations in a CSV file that survives kills: what a training run writes while it
// goes on, and what plots and tables read.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

namespace fourstep {

/// One file: a header line, then one row per call of append(). The first column is "iteration", its
/// numbers never fall. Numbers are written in the shortest text that reads back as the same number,
/// so that a run that was killed and resumed leaves the same bytes as one that was not.
class CsvLog {
 public:
  /// columns: the names after "iteration". A file that exists is continued: its rows of
  /// `first_iteration` and later are dropped, as is a last line that a kill has cut off; the file
  /// is rewritten atomically. With first_iteration 0 it starts anew, under the same columns.
  /// Throws InvalidRequest for names that are empty, twice there, or hold commas, quotes or control
  /// characters; Error naming the file when it has other columns, a broken row, or cannot be read
  /// or written.
  CsvLog(const std::filesystem::path& path, std::vector<std::string> columns,
         int64_t first_iteration = 0);

  /// Writes one row and passes it to the system at once. values: one per column; NaN and infinities
  /// are written as nan, inf and -inf.
  /// Throws InvalidRequest for another number of values, or an iteration before the last one; Error
  /// naming the file when it cannot be written.
  void append(int64_t iteration, std::span<const double> values);

  /// The names after "iteration".
  const std::vector<std::string>& columns() const { return columns_; }

 private:
  std::filesystem::path path_;
  std::vector<std::string> columns_;
  int64_t last_iteration_ = 0;
  std::ofstream out_;
};

/// The columns of a file of numbers.
struct CsvData {
  std::vector<std::string> names;
  std::vector<std::vector<double>> columns;  ///< one per name, all of the same length

  /// Throws InvalidRequest naming the columns that are there when `name` is not among them.
  const std::vector<double>& column(const std::string& name) const;
};

/// Reads a file with a header line and numbers; an empty field is NaN. A last line without line
/// break is left
/// out: somebody may be writing it.
/// Throws Error naming the file, and the line where there is one, when it cannot be read, is empty,
/// larger than 1 GiB, or has a row with another number of fields than the header or a field that is
/// no number.
CsvData read_csv(const std::filesystem::path& path);

}  // namespace fourstep
