#include "distill/run_report.h"

#include "base/noise.h"
#include "io/image.h"
#include "pipeline/decode.h"
#include "report/contact_sheet.h"
#include "report/csv_log.h"
#include "report/health.h"
#include "report/html_report.h"
#include "report/svg_plot.h"
#include "train/captions.h"
#include "train/optimizer.h"
#include "train/prompt_sampling.h"

namespace fourstep {

namespace {

constexpr int64_t kTeacherSteps = 50;
constexpr int64_t kViewTimestep = 499;  // where teacher and critic are compared by eye
constexpr uint64_t kNoiseSeed = 1;

/// Mean squared difference of neighbours.
double high_frequency(const Tensor& x) {
  const Tensor across = (x.slice(3, 1) - x.slice(3, 0, -1)).square().mean();
  const Tensor down = (x.slice(2, 1) - x.slice(2, 0, -1)).square().mean();
  return (across + down).item<double>();
}

struct ChannelMeans {
  explicit ChannelMeans(const Tensor& x) : values(x.mean({0, 2, 3}).to(torch::kCPU)) {}
  Tensor values;
};

/// The rows of a sheet, each [N,4,h,w].
struct SheetRow {
  std::string label;
  Tensor latents;
};

/// The student's samples noised, and what teacher and critic think is behind the noise.
std::vector<SheetRow> views_of(Distillation& d, const Tensor& x0, const Conditioning& cond) {
  const Tensor timesteps =
      at::full({x0.size(0)}, kViewTimestep, at::TensorOptions(torch::kInt64).device(x0.device()));
  const Tensor noise = make_torch_noise(kNoiseSeed)(shape_of(x0)).to(x0.device());
  const Tensor x_t = d.levels.add_noise(x0, noise, timesteps);
  const auto mu = [&](View& view) {
    return d.levels.x0_from_eps(x_t, view.eps(x_t, timesteps, cond), timesteps);
  };
  return {{"teacher's view", mu(d.views.teacher)}, {"critic's view", mu(d.views.critic)}};
}

HealthSeries series_of(const CsvData& log, const std::string& name) {
  HealthSeries series;
  const std::vector<double>& iterations = log.column("iteration");
  const std::vector<double>& values = log.column(name);
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) continue;
    series.iteration.push_back(static_cast<int64_t>(iterations[i]));
    series.value.push_back(values[i]);
  }
  return series;
}

HealthHistory history_of(const CsvData& log) {
  HealthHistory history;
  for (int channel = 0; channel < 4; ++channel) {
    history.channel_means.push_back(series_of(log, fmt::format("mean{}", channel)));
  }
  history.relgap = series_of(log, "gap");
  history.latent_std = series_of(log, "std");
  history.hf = series_of(log, "hf");
  history.d_loss = series_of(log, "disc");
  history.g_adv_loss = series_of(log, "gan");
  return history;
}

std::string plot_of(const CsvData& log, const std::string& title,
                    const std::vector<std::string>& names) {
  LinePlot plot;
  plot.title = title;
  plot.x.label = "iteration";
  plot.smoothing = 0.9;
  for (const std::string& name : names) {
    PlotSeries series{name, {}, {}};
    const HealthSeries points = series_of(log, name);
    series.x.assign(points.iteration.begin(), points.iteration.end());
    series.y = points.value;
    if (!series.x.empty()) plot.series.push_back(std::move(series));
  }
  return plot.series.empty() ? "" : line_plot_svg(plot);
}

}  // namespace

LossRow latent_statistics(const StepResult& result) {
  const Tensor x0 = result.x0;
  LossRow row{{"std", x0.std().item<double>()}, {"hf", high_frequency(x0)}};
  row.emplace_back("gap", result.gradient.defined()
                              ? std::optional(result.gradient.square().mean().item<double>())
                              : std::nullopt);
  const Tensor means = ChannelMeans(x0).values;
  for (int64_t channel = 0; channel < means.size(0); ++channel) {
    row.emplace_back(fmt::format("mean{}", channel), means[channel].item<double>());
  }
  return row;
}

RunReport::RunReport(Models& models, const DistillConfig& config, int64_t side,
                     std::vector<std::string> prompts)
    : models_(models), config_(config), side_(side), prompts_(std::move(prompts)) {}

void RunReport::write(Distillation& d, const TextEncoders& encoders, const NamedTensors& student,
                      int64_t iteration, const Events& events) {
  const torch::NoGradGuard no_grad;
  const Conditioning cond = encode_captions(encoders, prompts_, side_);
  if (!teacher_latents_.defined()) {
    teacher_latents_ = sample_prompts({.unet = d.views.teacher.unet, .cond = cond, .side = side_},
                                      {.steps = kTeacherSteps,
                                       .sampler = "dpmpp_2m",
                                       .schedule = "karras",
                                       .cfg_scale = config_.cfg_scale},
                                      kNoiseSeed);
  }
  const NamedTensors kept = clone_tensors(d.views.student.trainable);
  copy_tensors(student, d.views.student.trainable, "student's average");
  std::vector<SheetRow> rows{{"teacher, 50 steps", teacher_latents_}};
  const PromptBatch batch{.unet = d.views.student.unet,
                          .adapters = d.views.student.extras.adapters,
                          .cond = cond,
                          .side = side_};
  SamplingSettings settings{.sampler = "lcm", .timesteps = config_.timesteps, .cfg_scale = 1};
  rows.push_back({fmt::format("student, {} steps", config_.timesteps.size()),
                  sample_prompts(batch, settings, kNoiseSeed)});
  settings.timesteps.resize(1);
  rows.push_back({"student, 1 step", sample_prompts(batch, settings, kNoiseSeed)});
  copy_tensors(kept, d.views.student.trainable, "student");
  for (SheetRow& row : views_of(d, rows[1].latents, cond)) rows.push_back(std::move(row));

  SheetSpec sheet;
  sheet.num_columns = static_cast<int64_t>(prompts_.size());
  sheet.title = fmt::format("iteration {}", iteration);
  sheet.column_labels = prompts_;
  for (const SheetRow& row : rows) {
    sheet.row_labels.push_back(row.label);
    for (const Tensor& latent : row.latents.split(1)) {  // one by one, for little memory
      const Tensor image = decode_latent(models_, latent, 0, without_progress(events));
      sheet.cells.push_back({pixels_from_image(image)[0]});
    }
  }
  write_image(std::filesystem::path(config_.out) / sheet_name(iteration), contact_sheet(sheet));
  write_page(iteration, events);
}

void RunReport::write_page(int64_t iteration, const Events& events) {
  const std::filesystem::path out = config_.out;
  const CsvData log = read_csv(out / "distill.csv");
  const HealthReference reference{teacher_latents_.std().item<double>(),
                                  high_frequency(teacher_latents_), 0};
  HtmlReport page{fmt::format("Distillation, iteration {}", iteration), {}};
  ReportWarnings warnings;
  for (const HealthWarning& warning : check_health(history_of(log), reference)) {
    warnings.sentences.push_back(to_string(warning));
    events.notice(warnings.sentences.back());
  }
  page.sections.push_back(warnings);
  page.sections.push_back(ReportPicture{linked_picture(sheet_name(iteration)), "samples"});
  const std::vector<std::pair<std::string, std::vector<std::string>>> plots{
      {"critic's loss", {"fake"}},
      {"matching loss", {"dm"}},
      {"adversarial losses", {"gan", "disc"}},
      {"gradient norms", {"grad_student", "grad_critic"}},
      {"spread of the student's samples", {"std", "hf"}},
      {"channel means", {"mean0", "mean1", "mean2", "mean3"}}};
  for (const auto& [title, names] : plots) {
    const std::string svg = plot_of(log, title, names);
    if (!svg.empty()) page.sections.emplace_back(ReportPlot{svg});
  }
  write_report(out / "report.html", page);
}

}  // namespace fourstep
