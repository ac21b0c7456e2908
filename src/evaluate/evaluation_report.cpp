#include "evaluate/evaluation_report.h"

#include "evaluate/rows.h"
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

/// A number of RowResult, and how the curve of a kind is called in the legend.
struct Curve {
  std::optional<double> RowResult::*field;
  std::string suffix;
  double factor = 1;
};

double value_of(const RowResult& row, const Curve& curve) {
  return (row.*curve.field).value_or(NAN) * curve.factor;
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

/// Kinds with several numbers of steps become curves, the others horizontal lines (of the first curve's number).
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

std::string accuracy_text(const Accuracy& accuracy) {
  return fmt::format("emoji {}, background {}, relation {}, all of a picture {}",
                     percent_text(accuracy.emoji), percent_text(accuracy.background),
                     percent_text(accuracy.relation), percent_text(accuracy.all));
}

std::string sources_text(const EvaluateConfig& config) {
  std::string text = fmt::format("- model: `{}`\n", config.model.empty() ? "none" : config.model);
  if (!config.student.empty()) text += fmt::format("- student: `{}`\n", config.student);
  if (!config.lora.empty()) text += fmt::format("- LoRA: `{}`\n", config.lora);
  return text;
}

constexpr const char* kColumns = R"(
- emoji, background, relation, all: shares of pictures, in percent, that show what their prompt asks for, as the
  classifier sees them; relation counts only prompts with two emoji. The row of real pictures is its ceiling.
- FD features: Fréchet distance to real pictures of other scenes, in the classifier's features; FD latents: the same
  in the autoencoder's latents. Smaller is better. They fall with the number of pictures: compare only rows
  of equally many; the row of real pictures shows how low they can get.
- diversity: mean distance in feature space between pictures of one prompt.
- brightness: mean of all pixels (0 black, 1 white); saturation: mean of a pixel's largest minus smallest channel; clipped:
  share of numbers at the end of their range; latent std and hf: spread of the latents' numbers, and
  mean squared difference of neighbours. A student that departs from its teacher by more than 15 % is saturated or blurred.
- s/image: for sampling and decoding, in batches.
)";

}  // namespace

Table evaluation_table(const std::vector<MeasuredRow>& rows) {
  Table table;
  const RowResult none;
  visit_fields(none, [&](const FieldInfo& field, const auto& value) {
    if (field.help.empty()) return;
    const bool is_text = std::is_same_v<std::decay_t<decltype(value)>, std::string>;
    table.columns.push_back({std::string(field.help), is_text ? Align::kLeft : Align::kRight});
  });
  for (const MeasuredRow& row : rows) {
    std::vector<std::string>& cells = table.rows.emplace_back();
    visit_fields(row.result, [&](const FieldInfo& field, const auto& value) {
      if (!field.help.empty()) cells.push_back(cell_text(field, value));
    });
  }
  return table;
}

std::string accuracy_plot(const std::vector<MeasuredRow>& rows) {
  LinePlot plot = plot_of(
      rows, {{&RowResult::seen_all, ", seen", 100}, {&RowResult::held_out_all, ", held out", 100}});
  plot.title = "Pictures that show all that was asked for";
  plot.y = {.label = "%", .minimum = 0, .maximum = 100};
  return line_plot_svg(plot);
}

std::string frechet_plot(const std::vector<MeasuredRow>& rows, const std::string& title,
                         std::optional<double> RowResult::*field) {
  LinePlot plot = plot_of(rows, {{field, ""}});
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
  page += fmt::format(
      "- {} pictures of seen combinations and {} of held-out ones per row, one prompt each; {} "
      "prompts with {} pictures each for diversity; seed {}\n",
      evaluation.num_seen, evaluation.num_held_out, config.diversity_prompts,
      config.diversity_samples, config.seed);
  page += fmt::format("- classifier, on drawn pictures it was not trained on: {};\n",
                      accuracy_text(evaluation.judge.drawn));
  page += fmt::format("  on the same ones blurred, noisy and shifted in colour: {}\n\n",
                      accuracy_text(evaluation.judge.augmented));
  page += markdown_from_table(evaluation_table(evaluation.rows));
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
