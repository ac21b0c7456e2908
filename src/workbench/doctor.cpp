#include "workbench/doctor.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "io/mapped_file.h"
#include "lora/fuse.h"
#include "workbench/base_model.h"
#include "workbench/fingerprint.h"

namespace fourstep {
namespace {

namespace fs = std::filesystem;

Finding good(const char* code, std::string sentence, std::string remedy = "") {
  return {false, code, std::move(sentence), std::move(remedy)};
}

Finding bad(const char* code, std::string sentence, std::string remedy) {
  return {true, code, std::move(sentence), std::move(remedy)};
}

Finding matched_finding(const LoraMatch& match) {
  if (match.unmatched.empty()) {
    return good("matched", fmt::format("{} found their weights", summary(match)));
  }
  return bad("matched",
             fmt::format("{} of {} modules found no weight: {}", match.unmatched.size(),
                         match.num_modules, match.likely_cause),
             match.matched.empty()
                 ? "use a LoRA made for this model family"
                 : "--lora-partial applies the rest; better a LoRA for this model");
}

/// What the modules are multiplied by; a LoRA whose alpha is ignored elsewhere acts 1 / factor
/// times as strongly there.
void add_scale_findings(const LoraMatch& match, double weight, std::vector<Finding>& findings) {
  std::set<double> factors;
  for (const MatchedModule& m : match.matched) factors.insert(factor_of(m.module));
  const auto zero = std::count_if(match.matched.begin(), match.matched.end(),
                                  [](const auto& m) { return factor_of(m.module) == 0; });
  if (zero > 0) {
    findings.push_back(bad("switched-off", fmt::format("{} modules have alpha 0", zero),
                           "they do nothing at any strength: the file is damaged or meant so"));
  }
  if (weight == 0) {
    findings.push_back(bad("switched-off", "the weight is 0", "give it one, for instance FILE:1"));
  }
  const double least = *factors.begin(), most = *factors.rbegin();
  const std::string range =
      least == most ? fmt::format("{:.4g}", most) : fmt::format("{:.4g} to {:.4g}", least, most);
  findings.push_back(good("scale", fmt::format("alpha / rank is {}, times the weight {}: {:.4g}",
                                               range, weight, most * weight)));
}

Finding change_finding(double change) {
  constexpr double kTiny = 0.001, kHuge = 0.3;
  const std::string sentence =
      fmt::format("it changes the weights of its modules by {:.3g}% of their norm", 100 * change);
  if (change < kTiny) {
    return bad("change", sentence, "too little to see: raise the weight, or the file is empty");
  }
  if (change > kHuge) {
    return bad("change", sentence,
               "far more than training does: lower the weight; a program that ignores alpha, or a "
               "file that lacks it, makes LoRAs several times too strong");
  }
  return good("change", sentence);
}

Finding text_finding(const LoraMatch& match) {
  const bool has_text = match.num_matched.count(Component::kTextEncoder) != 0 ||
                        match.num_matched.count(Component::kTextEncoder2) != 0;
  if (has_text) return good("text-encoder", "it changes text encoders too");
  return good("text-encoder",
              "it has no text-encoder part: a second weight (CLIP strength) does nothing");
}

/// Merged before, by what the checkpoint says of itself.
Finding merged_finding(const Checkpoint& checkpoint, const fs::path& lora) {
  const std::string stem = lora.stem().string();
  for (const char* key : {"sd_merge_recipe", "modelspec.merged_from", "modelspec.title"}) {
    const auto found = checkpoint.metadata.find(key);
    if (found == checkpoint.metadata.end() || found->second.find(stem) == std::string::npos) {
      continue;
    }
    return bad("already-merged",
               fmt::format("the checkpoint's metadata ({}) names \"{}\"", key, stem),
               "it may be in it already: lora detect measures how strongly, model topup adds the "
               "rest");
  }
  return good("already-merged", "the checkpoint's metadata do not name this LoRA");
}

/// A merge keeps the checkpoint's type unless it is told another: a loss there is a problem,
/// elsewhere a warning.
Finding precision_finding(const Examination& examination, std::optional<Storage> own) {
  constexpr double kTolerable = 0.1;
  const auto is_lossy = [](const StorageLoss& entry) { return entry.loss.error > kTolerable; };
  const auto in_own = std::find_if(
      examination.losses.begin(), examination.losses.end(),
      [&](const StorageLoss& entry) { return entry.storage == own && is_lossy(entry); });
  const auto first = std::find_if(examination.losses.begin(), examination.losses.end(), is_lossy);
  for (const auto& found : {in_own, first}) {
    if (found == examination.losses.end()) continue;
    const auto& [storage, loss] = *found;
    const std::string sentence = fmt::format(
        "merged into {} it keeps {:.0f}% of its strength, with an error of {:.0f}% of "
        "the change; {:.0f}% of the weights do not move",
        to_string(storage), 100 * loss.arrived, 100 * loss.error, 100 * loss.unchanged);
    const char* remedy =
        "apply it at run time instead of merging, merge into fp16 or fp32, or round with "
        "--rounding stochastic";
    return found == in_own ? bad("precision", sentence, remedy) : good("precision", sentence);
  }
  return good("precision", "merging it into fp16, bf16, fp8 or int8 loses less than 10% of it");
}

/// Rows of about a hundred modules, weighted by what each adds to the whole change.
std::vector<SampledRows> sampled(const Checkpoint& checkpoint, const LoraMatch& match) {
  constexpr size_t kModules = 100;
  constexpr int64_t kRows = 8;
  const size_t step = std::max<size_t>(match.matched.size() / kModules, 1);
  std::vector<SampledRows> samples;
  for (size_t i = 0; i < match.matched.size(); i += step) {
    const MatchedModule& m = match.matched[i];
    const Tensor& weight = checkpoint.components.at(m.component).at(m.parameter);
    if (weight.dim() < 2 || !is_projectable(m.module)) continue;
    samples.push_back(sample_rows(weight, m.module, kRows));
    samples.back().share = samples.back().change.square().sum(torch::kDouble).item<double>();
  }
  return samples;
}

double relative_change(const Checkpoint& checkpoint, const LoraMatch& match, double weight,
                       const Events& events) {
  double change2 = 0, weight2 = 0;
  for (const auto& [key, projection] : project_all(checkpoint, match, events)) {
    change2 += projection.delta_norm2 * weight * weight;
    weight2 += projection.weight_norm2;
  }
  for (const MatchedModule& m : match.matched) {
    if (is_projectable(m.module)) continue;
    const Tensor& pristine = checkpoint.components.at(m.component).at(m.parameter);
    if (weight != 0) {
      const Tensor change = change_of(pristine, {m.module, weight});
      change2 += change.square().sum(torch::kDouble).item<double>();
    }
    weight2 += weight_norm2(pristine);
    drop_pages(pristine);
  }
  return std::sqrt(change2 / std::max(weight2, 1e-300));
}

}  // namespace

Examination examine(const fs::path& model, const fs::path& lora, double weight,
                    const Events& events) {
  const torch::NoGradGuard no_grad;
  const Checkpoint checkpoint = open_base_model(model).checkpoint;
  const LoraMatch match = match_lora(open_lora(lora), lora_targets_of(checkpoint));
  Examination examination;
  std::vector<Finding>& findings = examination.findings;
  findings.push_back(matched_finding(match));
  if (match.matched.empty()) return examination;
  add_scale_findings(match, weight, findings);
  examination.relative_change = relative_change(checkpoint, match, weight, events);
  findings.push_back(change_finding(examination.relative_change));
  for (const std::string& note : match.notes) findings.push_back(good("note", note));
  if (!match.embeddings.empty()) {
    findings.push_back(
        good("embeddings", fmt::format("it bundles embeddings: {}", names_text(match.embeddings))));
  }
  findings.push_back(text_finding(match));
  findings.push_back(merged_finding(checkpoint, lora));
  const std::vector<SampledRows> samples = sampled(checkpoint, match);
  if (samples.empty()) return examination;
  for (const Storage storage : {Storage::kFp16, Storage::kBf16, Storage::kFp8, Storage::kInt8}) {
    examination.losses.push_back({storage, mean_rounding_loss(samples, weight, storage)});
  }
  findings.push_back(precision_finding(examination, storage_of(merged_unet_dtype(checkpoint))));
  return examination;
}

}  // namespace fourstep
