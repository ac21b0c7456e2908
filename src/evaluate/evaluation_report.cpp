#include "evaluate/evaluation_report.h"

#include "io/atomic_file.h"
#include "report/contact_sheet.h"
#include "report/svg_plot.h"

namespace fourstep {

namespace {

std::string cell_text(const FieldInfo&, const std::string& value) { return value; }

std::string cell_text(const FieldInfo&, int64_t value) {
  return value == 0 ? "-" : std::to_string(value);
}

std::string cell_text(const FieldInfo& field, const std::optional<double>& value) {
  if (!value) return "-";
  return field.unit == "%" ? fmt::format("{:.1f}", 100 * *value) : fmt::format("{:.4g}", *value);
}

std::vector<const RowResult*> rows_of_kind(const std::vector<MeasuredRow>& rows, RowKind kind) {
  std::vector<const RowResult*> found;
  for (const MeasuredRow& row : rows) {
    if (row.result.kind == to_string(kind)) found.push_back(&row.result);
  }
  return found;
}

constexpr RowKind kPlottedKinds[] = {RowKind::kStudent, RowKind::kBase, RowKind::kTeacher};

/// A number of a row, and how the curve of a kind is called in the legend.
struct Curve {
  std::function<std::optional<double>(const RowResult&)> number;
  std::string suffix = {};
};

double value_of(const RowResult& row, const Curve& curve) {
  return curve.number(row).value_or(NAN);
}

PlotSeries series_of(const std::vector<const RowResult*>& rows, const Curve& curve) {
  PlotSeries series;
  series.name = rows.front()->kind + curve.suffix;
  for (const RowResult* row : rows) {
    series.x.push_back(static_cast<double>(row->steps));
    series.y.push_back(value_of(*row, curve));
  }
  return series;
}

/// Kinds with several numbers of steps become curves, the others horizontal lines (of the first
/// curve's number).
LinePlot plot_of(const std::vector<MeasuredRow>& rows, const std::vector<Curve>& curves) {
  LinePlot plot;
  plot.x.label = "steps";
  plot.x.is_log = true;
  for (const RowKind kind : kPlottedKinds) {
    const auto of_kind = rows_of_kind(rows, kind);
    if (of_kind.size() < 2) continue;
    for (const Curve& curve : curves) plot.series.push_back(series_of(of_kind, curve));
  }
  for (const RowKind kind : {RowKind::kReal, RowKind::kTeacher, RowKind::kBase}) {
    const auto of_kind = rows_of_kind(rows, kind);
    if (of_kind.size() != 1) continue;
    const double value = value_of(*of_kind.front(), curves.front());
    if (std::isfinite(value)) plot.references.push_back({of_kind.front()->row, value});
  }
  return plot;
}

bool has_curves(const std::vector<MeasuredRow>& rows) {
  return std::any_of(std::begin(kPlottedKinds), std::end(kPlottedKinds),
                     [&](RowKind kind) { return rows_of_kind(rows, kind).size() > 1; });
}

std::string percent_text(const std::optional<double>& share) {
  return share ? fmt::format("{:.1f} %", 100 * *share) : "-";
}

std::string accuracy_text(const std::vector<std::string>& questions, const JudgeTest& test) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < questions.size(); ++i) {
    parts.push_back(fmt::format("{} {}", questions[i], percent_text(test.shares[i])));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

/// Pictures and prompts in words, and what the judge can do.
std::string measured_text(const EvaluateConfig& config, const Evaluation& evaluation) {
  std::vector<std::string> counts;
  for (const auto& [name, count] : evaluation.counts) {
    counts.push_back(fmt::format("{} pictures of \"{}\"", count, name));
  }
  std::string text = fmt::format(
      "- per row {}; {} prompts with {} pictures each for diversity; seed {}\n",
      fmt::join(counts, " and "), config.diversity_prompts, config.diversity_samples, config.seed);
  for (const JudgeTest& test : evaluation.judge_tests) {
    text += fmt::format("- classifier, {}: {}\n", test.pictures,
                        accuracy_text(evaluation.questions, test));
  }
  return text + "\n";
}

std::string sources_text(const EvaluateConfig& config) {
  std::string text = fmt::format("- model: `{}`\n", config.model.empty() ? "none" : config.model);
  if (!config.student.empty()) text += fmt::format("- student: `{}`\n", config.student);
  if (!config.lora.empty()) text += fmt::format("- LoRA: `{}`\n", config.lora);
  return text;
}

constexpr const char* kJudgedColumns = R"(
- emoji, background, relation, all: shares of pictures, in percent, that show what their prompt asks for, as the
  classifier sees them; relation counts only prompts with two emoji. The row of real pictures is its ceiling.
- FD features: Fréchet distance to real pictures of other scenes, in the classifier's features; FD latents: the same
  in the autoencoder's latents. Smaller is better. They fall with the number of pictures: compare only rows
  of equally many; the row of real pictures shows how low they can get.
- diversity: mean distance in feature space between pictures of one prompt.)";

constexpr const char* kPlainColumns = R"(
- FD latents: Fréchet distance to the real pictures in the autoencoder's latents. Smaller is better. It falls with the
  number of pictures: compare only rows of equally many.
- diversity: mean distance between the latents of one prompt.)";

constexpr const char* kColumns = R"(
- brightness: mean of all pixels (0 black, 1 white); saturation: mean of a pixel's largest minus smallest channel; clipped:
  share of numbers at the end of their range; latent std and hf: spread of the latents' numbers, and
  mean squared difference of neighbours. A student that departs from its teacher by more than 15 % is saturated or blurred.
- s/image: for sampling and decoding, in batches.
)";

/// A column of the table: its heading, and the number or text of a row in it.
struct RowColumn {
  std::string heading;
  Align align = Align::kRight;
  std::function<std::string(const RowResult&)> cell;
};

void add_share_columns(const RowResult& first, std::vector<RowColumn>& columns) {
  for (size_t i = 0; i < first.shares.size(); ++i) {
    const Share& share = first.shares[i];
    const bool is_new = i == 0 || first.shares[i - 1].set != share.set;
    columns.push_back({is_new ? fmt::format("{}: {}", share.set, share.question) : share.question,
                       Align::kRight, [i](const RowResult& row) {
                         return cell_text(FieldInfo{"share", "", "%"}, row.shares.at(i).value);
                       }});
  }
}

/// In the order of the fields; the shares behind cfg_scale, before the distances.
std::vector<RowColumn> columns_of(const RowResult& first) {
  std::vector<RowColumn> columns;
  visit_fields(first, [&](const FieldInfo& field, const auto& value) {
    if (field.name == "frechet_features") add_share_columns(first, columns);
    if (field.help.empty()) return;
    const bool is_text = std::is_same_v<std::decay_t<decltype(value)>, std::string>;
    const auto cell = [name = field.name](const RowResult& row) {
      std::string text;
      visit_fields(row, [&](const FieldInfo& other, const auto& number) {
        if (other.name == name) text = cell_text(other, number);
      });
      return text;
    };
    columns.push_back({std::string(field.help), is_text ? Align::kLeft : Align::kRight, cell});
  });
  return columns;
}

}  // namespace

Table evaluation_table(const std::vector<MeasuredRow>& rows) {
  Table table;
  if (rows.empty()) return table;
  table.rows.resize(rows.size());
  for (const RowColumn& column : columns_of(rows.front().result)) {
    std::vector<std::string> cells;
    for (const MeasuredRow& row : rows) cells.push_back(column.cell(row.result));
    if (std::all_of(cells.begin(), cells.end(), [](const auto& cell) { return cell == "-"; })) {
      continue;
    }
    table.columns.push_back({column.heading, column.align});
    for (size_t i = 0; i < rows.size(); ++i) table.rows[i].push_back(cells[i]);
  }
  return table;
}

std::string accuracy_plot(const std::vector<MeasuredRow>& rows) {
  if (rows.empty() || rows.front().result.shares.empty()) return "";
  const std::vector<Share>& shares = rows.front().result.shares;
  std::vector<Curve> curves;
  for (size_t i = 0; i < shares.size(); ++i) {
    if (shares[i].question != shares.back().question) continue;
    const auto percent = [i](const RowResult& row) -> std::optional<double> {
      const auto& value = row.shares.at(i).value;
      return value ? std::optional(100 * *value) : std::nullopt;
    };
    curves.push_back({percent, ", " + shares[i].set});
  }
  LinePlot plot = plot_of(rows, curves);
  plot.title = "Pictures that show all that was asked for";
  plot.y = {.label = "%", .minimum = 0, .maximum = 100};
  return line_plot_svg(plot);
}

std::string frechet_plot(const std::vector<MeasuredRow>& rows, const std::string& title,
                         std::optional<double> RowResult::*field) {
  const bool is_measured = std::any_of(rows.begin(), rows.end(), [&](const MeasuredRow& row) {
    return (row.result.*field).has_value();
  });
  if (!is_measured) return "";
  LinePlot plot = plot_of(rows, {{[field](const RowResult& row) { return row.*field; }}});
  plot.title = title;
  plot.y.label = "Fréchet distance";
  plot.y.is_log = true;
  return line_plot_svg(plot);
}

Image evaluation_sheet(const Evaluation& evaluation) {
  SheetSpec sheet;
  sheet.num_columns = static_cast<int64_t>(evaluation.sheet_captions.size());
  for (const MeasuredRow& row : evaluation.rows) {
    const bool is_first = sheet.cells.empty();
    for (size_t i = 0; i < evaluation.sheet_captions.size(); ++i) {
      SheetCell& cell = sheet.cells.emplace_back();
      cell.pixels = row.sheet[static_cast<int64_t>(i)];
      if (is_first) cell.caption = evaluation.sheet_captions[i];
    }
    sheet.row_labels.push_back(row.result.row);
  }
  sheet.max_caption_lines = 4;
  return contact_sheet(sheet);
}

std::string evaluation_markdown(const EvaluateConfig& config, const Evaluation& evaluation) {
  std::string page = "# Evaluation\n\n" + sources_text(config);
  page += measured_text(config, evaluation);
  page += markdown_from_table(evaluation_table(evaluation.rows));
  page += evaluation.questions.empty() ? kPlainColumns : kJudgedColumns;
  page += kColumns;
  for (const std::filesystem::path& file : evaluation.files) {
    const std::string name = file.filename().string();
    page += fmt::format("\n![{}]({})\n", file.stem().string(), name);
  }
  return page;
}

void write_evaluation(const EvaluateConfig& config, Evaluation& evaluation) {
  const std::filesystem::path out = config.out;
  std::filesystem::create_directories(out);
  evaluation.files.clear();
  const auto write = [&](const char* name, const std::string& text) {
    if (text.empty()) return;  // a plot of nothing
    write_atomically(out / name, [&](std::ostream& stream) { stream << text; });
    evaluation.files.push_back(out / name);
  };
  if (has_curves(evaluation.rows)) {
    write("accuracy.svg", accuracy_plot(evaluation.rows));
    write("frechet-features.svg", frechet_plot(evaluation.rows, "Distance in classifier features",
                                               &RowResult::frechet_features));
    write("frechet-latents.svg",
          frechet_plot(evaluation.rows, "Distance in latents", &RowResult::frechet_latents));
  }
  const auto sheet = out / fmt::format("sheet{}", kPictureExtension);
  write_image(sheet, evaluation_sheet(evaluation));
  evaluation.files.push_back(sheet);
  write("evaluation.md", evaluation_markdown(config, evaluation));
}

}  // namespace fourstep
