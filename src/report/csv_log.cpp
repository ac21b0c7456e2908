#include "report/csv_log.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/fields.h"
#include "io/atomic_file.h"

namespace fourstep {

namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kMaxFileBytes = uintmax_t{1} << 30;
constexpr const char* kIteration = "iteration";

std::string read_whole(const fs::path& path) {
  std::error_code error;
  const uintmax_t size = fs::file_size(path, error);
  if (error) throw Error("read_csv(\"{}\"): {}", path.string(), error.message());
  if (size > kMaxFileBytes)
    throw Error("read_csv(\"{}\"): {} bytes, more than the {} that a log may have", path.string(),
                size, kMaxFileBytes);
  std::ifstream in(path, std::ios::binary);
  std::string content(size, '\0');
  in.read(content.data(), static_cast<std::streamsize>(size));
  if (!in) throw Error("read_csv(\"{}\"): the file cannot be read", path.string());
  return content;
}

/// The complete lines without their line breaks.
std::vector<std::string_view> lines_of(std::string_view content) {
  std::vector<std::string_view> lines;
  for (size_t end; (end = content.find('\n')) != std::string_view::npos;) {
    std::string_view line = content.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    content.remove_prefix(end + 1);
  }
  return lines;
}

/// Parts between commas; as many as there are commas, and one more.
std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  for (size_t comma; (comma = line.find(',')) != std::string_view::npos;) {
    fields.push_back(line.substr(0, comma));
    line.remove_prefix(comma + 1);
  }
  fields.push_back(line);
  return fields;
}

/// A line of a file, for messages.
struct LinePlace {
  const fs::path& path;
  size_t number;  ///< from 1
};

template <typename Number>
Number parse_field(std::string_view field, const LinePlace& place) {
  Number value{};
  const char* end = std::to_address(field.end());
  const auto [stop, failure] = std::from_chars(std::to_address(field.begin()), end, value);
  if (failure != std::errc() || stop != end)
    throw Error("read_csv(\"{}\"): line {} has \"{}\" where a number should be",
                place.path.string(), place.number, field);
  return value;
}

std::vector<std::string_view> parse_row(std::string_view line, size_t num_columns,
                                        const LinePlace& place) {
  std::vector<std::string_view> fields = fields_of(line);
  if (fields.size() != num_columns)
    throw Error("read_csv(\"{}\"): line {} has {} fields, the header {}", place.path.string(),
                place.number, fields.size(), num_columns);
  return fields;
}

void check_names(const fs::path& path, const std::vector<std::string>& columns) {
  std::set<std::string_view> known = {kIteration};
  for (const std::string& name : columns) {
    const bool is_plain = std::none_of(name.begin(), name.end(), [](char c) {
      return c == ',' || c == '"' || static_cast<unsigned char>(c) < 0x20;
    });
    if (name.empty() || !is_plain || !known.insert(name).second)
      throw InvalidRequest(
          "CsvLog(\"{}\"): \"{}\" cannot name a column; names are not empty, without commas, "
          "quotes and line breaks, and different from each other",
          path.string(), name);
  }
}

std::string header_of(const std::vector<std::string>& columns) {
  return columns.empty() ? kIteration : fmt::format("{},{}", kIteration, fmt::join(columns, ","));
}

/// What stays of an older file: its rows before an iteration.
struct KeptRows {
  std::string text;
  int64_t last_iteration = std::numeric_limits<int64_t>::min();
};

/// Throws unless the file begins with `header`. A file that a kill left with less than a line keeps
/// nothing.
KeptRows rows_before(const fs::path& path, const std::string& header, int64_t first_iteration) {
  const std::string content = read_whole(path);
  const std::vector<std::string_view> lines = lines_of(content);
  if (lines.empty() && std::string_view(header).starts_with(content)) return {};
  if (lines.empty() || lines[0] != header)
    throw Error(
        "CsvLog(\"{}\"): the file has the columns \"{}\", this run writes \"{}\"; name another "
        "file or move this one away",
        path.string(), lines.empty() ? std::string_view(content).substr(0, 200) : lines[0], header);
  const size_t num_columns = fields_of(header).size();
  KeptRows kept;
  for (size_t i = 1; i < lines.size(); ++i) {
    const LinePlace place{path, i + 1};
    const auto iteration = parse_field<int64_t>(parse_row(lines[i], num_columns, place)[0], place);
    if (iteration >= first_iteration) break;  // iterations do not fall
    kept.text += fmt::format("{}\n", lines[i]);
    kept.last_iteration = iteration;
  }
  return kept;
}

std::string text_of(double value) {
  if (std::isnan(value)) return "nan";  // without the sign that some operations leave
  return text_from_value(value);
}

}  // namespace

CsvLog::CsvLog(const fs::path& path, std::vector<std::string> columns, int64_t first_iteration)
    : path_(path), columns_(std::move(columns)) {
  check_names(path_, columns_);
  const std::string header = header_of(columns_);
  std::error_code error;
  const bool is_there = fs::exists(path_, error);
  const KeptRows kept = is_there ? rows_before(path_, header, first_iteration) : KeptRows{};
  last_iteration_ = kept.last_iteration;
  write_atomically(path_, [&](std::ostream& out) { out << header << '\n' << kept.text; });
  out_.open(path_, std::ios::binary | std::ios::app);
  if (!out_) throw Error("CsvLog(\"{}\"): the file cannot be written", path_.string());
}

void CsvLog::append(int64_t iteration, std::span<const double> values) {
  if (values.size() != columns_.size())
    throw InvalidRequest("CsvLog(\"{}\"): a row of {} values for {} columns", path_.string(),
                         values.size(), columns_.size());
  if (iteration < last_iteration_)
    throw InvalidRequest("CsvLog(\"{}\"): iteration {} after iteration {}; rows come in order",
                         path_.string(), iteration, last_iteration_);
  std::string row = text_from_value(iteration);
  for (const double value : values) row += "," + text_of(value);
  out_ << row + "\n" << std::flush;
  if (!out_)
    throw Error("CsvLog(\"{}\"): a row cannot be written; is the disk full?", path_.string());
  last_iteration_ = iteration;
}

const std::vector<double>& CsvData::column(const std::string& name) const {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    throw InvalidRequest("there is no column \"{}\"; the file has: {}", name,
                         fmt::join(names, ", "));
  return columns[static_cast<size_t>(found - names.begin())];
}

CsvData read_csv(const fs::path& path) {
  const std::string content = read_whole(path);
  const std::vector<std::string_view> lines = lines_of(content);
  if (lines.empty()) throw Error("read_csv(\"{}\"): the file has no header line", path.string());
  CsvData data;
  for (const std::string_view name : fields_of(lines[0])) data.names.emplace_back(name);
  data.columns.resize(data.names.size());
  for (size_t i = 1; i < lines.size(); ++i) {
    const LinePlace place{path, i + 1};
    const std::vector<std::string_view> fields = parse_row(lines[i], data.names.size(), place);
    for (size_t c = 0; c < fields.size(); ++c) {
      data.columns[c].push_back(fields[c].empty() ? std::numeric_limits<double>::quiet_NaN()
                                                  : parse_field<double>(fields[c], place));
    }
  }
  return data;
}

}  // namespace fourstep
