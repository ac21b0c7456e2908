#include "evaluate/measure.h"

#include "evaluate/diversity.h"
#include "io/image.h"

namespace fourstep {

namespace {

Tensor squared_differences(const Tensor& latents) {
  const int64_t height = latents.size(2), width = latents.size(3);
  const Tensor down = latents.narrow(2, 1, height - 1) - latents.narrow(2, 0, height - 1);
  const Tensor right = latents.narrow(3, 1, width - 1) - latents.narrow(3, 0, width - 1);
  return at::cat({down.flatten(), right.flatten()}).square();
}

void add_judgements(const PromptSet& set, int64_t begin, const ClassifierOutput& output,
                    SetMeasures& measures) {
  const std::vector<SceneLabels> seen = labels_from_output(output);
  for (size_t i = 0; i < seen.size(); ++i) {
    const SceneLabels asked = labels_of(set.scenes[static_cast<size_t>(begin) + i]);
    measures.judgements.push_back(judge(asked, seen[i]));
  }
}

void add_pictures(const Pictures& pictures, SetMeasures& measures) {
  const Tensor levels = pictures.images / 2 + 0.5;
  measures.brightness.add(levels);
  measures.saturation.add(levels.amax(1) - levels.amin(1));
  measures.clipped.add((levels <= 0).logical_or(levels >= 1).to(torch::kFloat32));
  measures.seconds += pictures.seconds;
  for (int64_t i = 0; i < pictures.images.size(0); ++i) {
    if (measures.for_sheet.size() >= kSheetPictures) break;
    measures.for_sheet.push_back(pixels_from_image(pictures.images.narrow(0, i, 1)));
  }
  if (!pictures.latents.defined()) return;
  measures.latents.add(pictures.latents.flatten(1));
  measures.latent_numbers.add(pictures.latents);
  measures.latent_edges.add(squared_differences(pictures.latents));
}

std::optional<Gaussian> gaussian_of(const GaussianFit& fit) {
  if (fit.count() < 2) return std::nullopt;
  return fit.gaussian();
}

std::optional<double> distance(const GaussianFit& fit, const std::optional<Gaussian>& reference) {
  const std::optional<Gaussian> own = gaussian_of(fit);
  if (!own || !reference) return std::nullopt;
  return frechet_distance(*own, *reference);
}

void put_accuracies(const Accuracy& seen, const Accuracy& held_out, RowResult& result) {
  result.seen_emoji = seen.emoji;
  result.seen_background = seen.background;
  result.seen_relation = seen.relation;
  result.seen_all = seen.all;
  result.held_out_emoji = held_out.emoji;
  result.held_out_background = held_out.background;
  result.held_out_relation = held_out.relation;
  result.held_out_all = held_out.all;
}

std::optional<double> diversity(const SetMeasures& measures, const PromptSet& set) {
  if (set.count() == 0) return std::nullopt;
  return diversity_of(measures.feature_rows, set.per_caption);
}

Tensor sheet_of(const SetMeasures& seen, const SetMeasures& held_out) {
  std::vector<Tensor> pictures = seen.for_sheet;
  pictures.insert(pictures.end(), held_out.for_sheet.begin(), held_out.for_sheet.end());
  return at::cat(pictures);
}

}  // namespace

void NumberStats::add(const Tensor& numbers) {
  const Tensor x = numbers.to(torch::kFloat64);
  const auto added = static_cast<double>(x.numel());
  if (added == 0) return;
  const double mean = x.mean().item<double>();
  const double delta = mean - mean_, total = count_ + added;
  scatter_ += (x - mean).square().sum().item<double>() + delta * delta * count_ * added / total;
  mean_ += delta * added / total;
  count_ = total;
}

std::optional<double> NumberStats::mean() const {
  if (count_ == 0) return std::nullopt;
  return mean_;
}

std::optional<double> NumberStats::std() const {
  if (count_ == 0) return std::nullopt;
  return std::sqrt(scatter_ / count_);
}

SetMeasures measure_set(const PictureSource& source, const PromptSet& set, Measuring& measuring,
                        MeasureProgress& progress) {
  const torch::NoGradGuard no_grad;
  SetMeasures measures;
  std::vector<Tensor> features;
  for (int64_t begin = 0; begin < set.count(); begin += measuring.batch) {
    const auto report = [&] {
      measuring.events.report(
          {Stage::kEvaluate, progress.done, progress.total, 0, {}, progress.name});
    };
    if (progress.done == 0) report();
    const int64_t count = std::min(measuring.batch, set.count() - begin);
    const Pictures pictures = source(set, begin, count);
    const ClassifierOutput output = measuring.classifier->forward(pictures.images);
    add_pictures(pictures, measures);
    add_judgements(set, begin, output, measures);
    measures.features.add(output.features);
    features.push_back(output.features);
    progress.done += count;
    report();
  }
  if (!features.empty()) measures.feature_rows = at::cat(features);
  return measures;
}

Reference make_reference(const PictureSource& source, const PromptSet& set, Measuring& measuring) {
  MeasureProgress progress{"real pictures to compare with", set.count()};
  const SetMeasures measures = measure_set(source, set, measuring, progress);
  return {gaussian_of(measures.features), gaussian_of(measures.latents)};
}

MeasuredRow measure_row(const EvaluationRow& row, const PictureSource& source,
                        const PromptSets& sets, const Reference& reference, Measuring& measuring) {
  MeasureProgress progress{row.name(),
                           sets.seen.count() + sets.held_out.count() + sets.diversity.count()};
  const SetMeasures seen = measure_set(source, sets.seen, measuring, progress);
  const SetMeasures held_out = measure_set(source, sets.held_out, measuring, progress);
  const SetMeasures varied = measure_set(source, sets.diversity, measuring, progress);
  RowResult result;
  result.row = row.name();
  result.kind = to_string(row.kind);
  result.steps = row.steps();
  if (!row.model.empty()) result.cfg_scale = row.sampling.cfg_scale;
  put_accuracies(accuracy_of(seen.judgements), accuracy_of(held_out.judgements), result);
  result.frechet_features = distance(seen.features, reference.features);
  result.frechet_latents = distance(seen.latents, reference.latents);
  result.diversity = diversity(varied, sets.diversity);
  result.brightness = seen.brightness.mean();
  result.saturation = seen.saturation.mean();
  result.clipped = seen.clipped.mean();
  result.latent_std = seen.latent_numbers.std();
  result.latent_hf = seen.latent_edges.mean();
  result.seconds_per_image = (seen.seconds + held_out.seconds + varied.seconds) /
                             static_cast<double>(std::max<int64_t>(1, progress.done));
  return {result, sheet_of(seen, held_out)};
}

}  // namespace fourstep
