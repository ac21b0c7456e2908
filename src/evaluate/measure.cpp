#include "evaluate/measure.h"

#include "base/error.h"
#include "io/image.h"
#include "io/safetensors.h"

namespace fourstep {

namespace {

Tensor squared_differences(const Tensor& latents) {
  const int64_t height = latents.size(2), width = latents.size(3);
  const Tensor down = latents.narrow(2, 1, height - 1) - latents.narrow(2, 0, height - 1);
  const Tensor right = latents.narrow(3, 1, width - 1) - latents.narrow(3, 0, width - 1);
  return at::cat({down.flatten(), right.flatten()}).square();
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

void put_spread(const SetMeasures& seen, const Reference& reference, RowResult& result) {
  result.frechet_features = distance(seen.features, reference.features);
  result.frechet_latents = distance(seen.latents, reference.latents);
  result.brightness = seen.brightness.mean();
  result.saturation = seen.saturation.mean();
  result.clipped = seen.clipped.mean();
  result.latent_std = seen.latent_numbers.std();
  result.latent_hf = seen.latent_edges.mean();
}

/// The number of true among those that were asked, as a share.
std::optional<double> share_of(const std::vector<Verdict>& verdicts, size_t question) {
  int64_t asked = 0, right = 0;
  for (const Verdict& verdict : verdicts) {
    asked += verdict[question].has_value() ? 1 : 0;
    right += verdict[question].value_or(false) ? 1 : 0;
  }
  if (asked == 0) return std::nullopt;
  return static_cast<double>(right) / static_cast<double>(asked);
}

std::optional<double> diversity(const SetMeasures& measures, const PromptSet& set) {
  if (set.count() == 0 || !measures.rows.defined()) return std::nullopt;
  return diversity_of(measures.rows, set.per_caption);
}

constexpr const char* kSettings = "settings";
constexpr const char* kSheet = "sheet";
constexpr const char* kShares = "shares";

/// A line "SET|QUESTION|VALUE" for each.
std::string text_from_shares(const std::vector<Share>& shares) {
  std::string text;
  for (const Share& share : shares) {
    text += fmt::format("{}|{}|{}\n", share.set, share.question, text_from_value(share.value));
  }
  return text;
}

std::vector<Share> shares_from_text(const std::string& text) {
  std::vector<Share> shares;
  for (const std::string& line : split_text(text, '\n')) {
    const std::vector<std::string> parts = split_text(line, '|');
    if (parts.size() < 2) continue;
    Share& share = shares.emplace_back(Share{parts[0], parts[1]});
    if (parts.size() > 2) {
      value_from_text(FieldInfo{"shares", "", "", 0, 1}, parts[2], share.value);
    }
  }
  return shares;
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

std::string Share::name() const {
  std::string name = set + "_" + question;
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}

SetMeasures measure_set(const PictureSource& source, const PromptSet& set, Measuring& measuring,
                        MeasureProgress& progress) {
  const torch::NoGradGuard no_grad;
  SetMeasures measures;
  std::vector<Tensor> rows;
  const auto report = [&] {
    measuring.events.report(
        {Stage::kEvaluate, progress.done, progress.total, 0, {}, progress.name});
  };
  for (int64_t begin = 0; begin < set.count(); begin += measuring.batch) {
    if (progress.done == 0) report();
    const int64_t count = std::min(measuring.batch, set.count() - begin);
    const Pictures pictures = source(set, begin, count);
    add_pictures(pictures, measures);
    const Judged judged =
        measuring.judge.judge ? measuring.judge.judge(set, begin, pictures.images) : Judged();
    measures.verdicts.insert(measures.verdicts.end(), judged.verdicts.begin(),
                             judged.verdicts.end());
    const Tensor latents = pictures.latents.defined() ? pictures.latents.flatten(1) : Tensor();
    if (set.per_caption > 1) {
      const Tensor& row = judged.features.defined() ? judged.features : latents;
      if (row.defined()) rows.push_back(row);
    } else {
      if (judged.features.defined()) measures.features.add(judged.features);
      if (latents.defined()) measures.latents.add(latents);
    }
    progress.done += count;
    report();
  }
  if (!rows.empty()) measures.rows = at::cat(rows);
  return measures;
}

Reference make_reference(const PictureSource& source, const PromptSet& set, Measuring& measuring) {
  MeasureProgress progress{"real pictures to compare with", set.count()};
  const SetMeasures measures = measure_set(source, set, measuring, progress);
  return {gaussian_of(measures.features), gaussian_of(measures.latents)};
}

MeasuredRow measure_row(const EvaluationRow& row, const PictureSource& source,
                        const PromptSets& sets, const Reference& reference, Measuring& measuring) {
  MeasureProgress progress{row.name(), sets.diversity.count()};
  for (const PromptSet& set : sets.judged) progress.total += set.count();
  RowResult result;
  result.row = row.name();
  result.kind = to_string(row.kind);
  result.steps = row.steps();
  if (!row.model.empty()) result.cfg_scale = row.sampling.cfg_scale;
  std::vector<SetMeasures> judged;
  std::vector<Tensor> sheet;
  double seconds = 0;
  for (const PromptSet& set : sets.judged) {
    const SetMeasures& measures =
        judged.emplace_back(measure_set(source, set, measuring, progress));
    for (size_t i = 0; i < measuring.judge.questions.size(); ++i) {
      result.shares.push_back(
          {set.name, measuring.judge.questions[i], share_of(measures.verdicts, i)});
    }
    sheet.insert(sheet.end(), measures.for_sheet.begin(), measures.for_sheet.end());
    seconds += measures.seconds;
  }
  const SetMeasures varied = measure_set(source, sets.diversity, measuring, progress);
  put_spread(judged.front(), reference, result);
  result.diversity = diversity(varied, sets.diversity);
  result.seconds_per_image =
      (seconds + varied.seconds) / static_cast<double>(std::max<int64_t>(1, progress.done));
  return {result, at::cat(sheet)};
}

void save_row(const std::filesystem::path& path, const MeasuredRow& row,
              const std::string& settings) {
  Metadata metadata{{kSettings, settings}, {kShares, text_from_shares(row.result.shares)}};
  visit_fields(row.result, [&](const FieldInfo& field, const auto& value) {
    metadata[std::string(field.name)] = text_from_value(value);
  });
  std::filesystem::create_directories(path.parent_path());
  write_safetensors(path, {{kSheet, row.sheet}}, metadata);
}

std::optional<MeasuredRow> load_row(const std::filesystem::path& path,
                                    const std::string& settings) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  const TensorFile file = open_safetensors(path);
  const auto found = file.metadata.find(kSettings);
  if (found == file.metadata.end() || found->second != settings) return std::nullopt;
  const auto sheet = file.tensors.find(kSheet);
  if (sheet == file.tensors.end()) {
    throw Error("\"{}\" is no row of an evaluation: it has no \"{}\"; remove it", path.string(),
                kSheet);
  }
  check_shape(sheet->second, {-1, -1, -1, 3}, path.string());
  MeasuredRow row;
  row.sheet = sheet->second.clone();
  row.result.shares = shares_from_text(entry_of(file.metadata, kShares));
  visit_fields(row.result, [&](const FieldInfo& field, auto& value) {
    const auto text = file.metadata.find(std::string(field.name));
    if (text != file.metadata.end()) value_from_text(field, text->second, value);
  });
  return row;
}

}  // namespace fourstep
