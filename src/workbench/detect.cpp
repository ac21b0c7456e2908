#include "workbench/detect.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/memory.h"
#include "io/tensor_file.h"
#include "lora/relative_change.h"
#include "workbench/base_model.h"
#include "workbench/storage.h"
#include "workbench/strength.h"

namespace fourstep {
namespace {

namespace fs = std::filesystem;

/// What one module shows: projections of the checkpoint's weight, and of its difference to the
/// base.
struct Measured {
  ParameterId id;
  Projection difference;   ///< dot and delta_norm2 are what counts
  double noise_norm2 = 0;  ///< of what is not the LoRA, or a number in proportion to it
};

/// The smallest noise that is believed: rounding to fp16, 2^-11 of a weight, evenly spread (/ sqrt
/// 3).
constexpr double kLeastNoise = 0.0003;

/// What fp32 products and sums leave uncertain, relative.
constexpr double kArithmetic = 1e-6;

double noise_per_element(const Measured& m) {
  return m.noise_norm2 / static_cast<double>(m.difference.num_elements);
}

/// A weight that is nearly zero, as projections are where training has hardly moved them, shows
/// next to no noise and would outweigh all others; none counts as known better than this share of
/// the median's noise.
double least_noise_per_element(const std::vector<Measured>& measured) {
  constexpr double kLeastShare = 0.01;
  std::vector<double> noise;
  for (const Measured& m : measured) noise.push_back(noise_per_element(m));
  if (noise.empty()) return 0;
  const auto middle = noise.begin() + static_cast<std::ptrdiff_t>(noise.size() / 2);
  std::nth_element(noise.begin(), middle, noise.end());
  return kLeastShare * *middle;
}

std::vector<ModuleStrength> strengths_of(const std::vector<Measured>& measured) {
  const double least = least_noise_per_element(measured);
  std::vector<ModuleStrength> strengths;
  for (const Measured& m : measured) {
    const Projection& p = m.difference;
    const double information = p.delta_norm2 / std::max({noise_per_element(m), least, 1e-300});
    strengths.push_back({m.id, p.dot / p.delta_norm2, information});
  }
  return strengths;
}

/// One detection; its members are what every step needs.
class Detector {
 public:
  Detector(const fs::path& path, const DetectSettings& settings, const Events& events)
      : path_(path),
        settings_(settings),
        events_(events),
        checkpoint_(open_base_model(path).checkpoint),
        match_(open_matched_lora(settings.lora, checkpoint_, settings.is_partial_allowed)) {}

  Detection run() {
    check_measurable();
    if (settings_.base) {
      by_base();
    } else {
      by_projections();
    }
    add_rounding();
    result_.verdict = verdict_of(result_.estimate);
    if (result_.verdict == Verdict::kNone && result_.is_other_low_rank) {
      result_.verdict = Verdict::kOther;
    }
    return std::move(result_);
  }

 private:
  void check_measurable() const {
    const auto is_difference = [](const MatchedModule& m) { return is_projectable(m.module); };
    const auto& matched = match_.matched;
    if (matched.empty() || std::any_of(matched.begin(), matched.end(), is_difference)) return;
    const LoraModule& first = matched.front().module;
    throw Error(
        "lora detect: \"{}\" consists of {} modules, whose change depends on the weight; only "
        "differences can be measured",
        settings_.lora.string(), first.dora_scale.defined() ? "DoRA" : kind_of(first));
  }

  const Tensor& weight(const Checkpoint& of, const MatchedModule& m) const {
    const auto component = of.components.find(m.component);
    const bool is_there =
        component != of.components.end() && component->second.count(m.parameter) != 0;
    if (is_there && shape_of(component->second.at(m.parameter)) ==
                        shape_of(checkpoint_.components.at(m.component).at(m.parameter))) {
      return component->second.at(m.parameter);
    }
    throw Error("lora detect: \"{}\" has no weight \"{}\" like that of \"{}\"; name its real base",
                of.path.string(), m.parameter, path_.string());
  }

  /// Twice over the modules, in memory: the second time the noise of each is known from what the
  /// first one left.
  void by_base() {
    const Checkpoint base = open_base_model(*settings_.base).checkpoint;
    result_.reference = fmt::format("base \"{}\"", settings_.base->filename().string());
    reference_dtype_ = unet_dtype(base);
    int64_t done = 0;
    std::vector<Measured> measured;
    std::vector<double> weight_norms;
    for (const MatchedModule& m : match_.matched) {
      events_.report({Stage::kLoad, done++, static_cast<int64_t>(match_.matched.size())});
      if (!is_projectable(m.module)) continue;
      const Tensor& now = weight(checkpoint_, m);
      const Tensor& before = weight(base, m);
      const Projection p = project_difference(now, before, m.module);
      if (p.delta_norm2 <= 0) continue;
      weight_norms.push_back(weight_norm2(before));
      measured.push_back({{m.component, m.parameter}, p, weight_norms.back()});
      drop_pages(now);
      drop_pages(before);
      for (const Tensor& factor : tensors_of(m.module)) drop_pages(factor);
      return_freed_memory();  // as in project_all()
    }
    result_.estimate = pooled(strengths_of(measured));
    weigh_by_residual(measured, weight_norms);
    result_.modules = strengths_of(measured);
    result_.estimate = pooled(result_.modules);
    const double change = result_.estimate.strength;
    result_.is_other_low_rank = has_other_low_rank_change(checkpoint_, base, match_, change);
  }

  void weigh_by_residual(std::vector<Measured>& measured, const std::vector<double>& weights) {
    const double s = result_.estimate.strength;
    double residual = 0, total = 0;
    for (size_t i = 0; i < measured.size(); ++i) {
      const Projection& p = measured[i].difference;
      const double rest = p.weight_norm2 - 2 * s * p.dot + s * s * p.delta_norm2;
      measured[i].noise_norm2 = std::max(rest, kLeastNoise * kLeastNoise * weights[i]);
      residual += std::max(rest, 0.0);
      total += weights[i];
    }
    result_.other_change = std::sqrt(residual / std::max(total, 1e-300));
  }

  /// Without the base: its projections come from the fingerprint that leaves the least scatter;
  /// without any, they are taken for zero, which holds for directions that the base does not
  /// prefer.
  void by_projections() {
    const auto projections = project_all(checkpoint_, match_, events_);
    if (settings_.fingerprints.empty()) {
      result_.reference = "no base: the LoRA's directions are taken for random ones";
      result_.modules = strengths_of(against(projections, nullptr));
      result_.estimate = pooled(result_.modules);
      return;
    }
    std::vector<std::pair<Fingerprint, Candidate>> tried;
    for (const fs::path& path : settings_.fingerprints) {
      Fingerprint fingerprint = read_fingerprint(path);
      const auto strengths = strengths_of(against(projections, &fingerprint));
      const Candidate candidate{fingerprint.base_name, pooled(strengths)};
      tried.emplace_back(std::move(fingerprint), candidate);
    }
    std::stable_sort(tried.begin(), tried.end(), [](const auto& a, const auto& b) {
      return a.second.estimate.scatter < b.second.estimate.scatter;
    });
    for (const auto& entry : tried) result_.candidates.push_back(entry.second);
    const Fingerprint& best = tried.front().first;
    result_.reference = fmt::format("fingerprint of \"{}\"", best.base_name);
    const FileDtype* dtype = find_file_dtype(best.base_dtype);
    if (dtype) reference_dtype_ = dtype->scalar_type;
    result_.modules = strengths_of(against(projections, &best));
    result_.estimate = tried.front().second.estimate;
  }

  std::vector<Measured> against(const std::map<std::string, Projection>& projections,
                                const Fingerprint* base) const {
    std::vector<Measured> measured;
    for (const MatchedModule& m : match_.matched) {
      const ParameterId id{m.component, m.parameter};
      const auto found = projections.find(module_key(id));
      if (found == projections.end() || found->second.delta_norm2 <= 0) continue;
      Projection p = found->second;
      if (base) p.dot -= projection_of_base(*base, module_key(id), p).dot;
      measured.push_back({id, p, std::max(p.weight_norm2, 1e-300)});
    }
    return measured;
  }

  const Projection& projection_of_base(const Fingerprint& base, const std::string& key,
                                       const Projection& own) const {
    const auto found = base.modules.find(key);
    constexpr double kTolerance = 0.02;  // fp16 against fp32 file: 0.001
    const bool fits = found != base.modules.end() &&
                      found->second.num_elements == own.num_elements &&
                      std::abs(found->second.delta_norm2 / own.delta_norm2 - 1) < kTolerance;
    if (fits) return found->second;
    throw Error(
        "lora detect: fingerprint \"{}\" was made with another LoRA (\"{}\") or architecture: "
        "module \"{}\" differs; make one with lora fingerprint BASE --lora \"{}\"",
        base.path.string(), base.lora_name, key, settings_.lora.string());
  }

  /// Rounding to the nearest takes from a change one-sidedly: a little in the mean over all
  /// weights, and most of a small change where the base was already on the grid of the checkpoint's
  /// type, unless other changes of the same weights carry it over. The truth lies between "no loss"
  /// and "all of the loss": the estimate moves to the middle and the error bar reaches both ends.
  void add_rounding() {
    StrengthEstimate& estimate = result_.estimate;
    const auto storage = storage_of(unet_dtype(checkpoint_));
    if (!storage || !std::isfinite(estimate.error)) return;
    const bool is_lossy = *storage != Storage::kFp32 && is_base_on_grid(*storage);
    const StrengthRange range = is_lossy ? range_before_rounding(samples(), estimate, *storage)
                                         : range_before_mean_loss(estimate, *storage);
    result_.rounding = (range.high - range.low) / 2 - estimate.error;
    estimate.strength = (range.low + range.high) / 2;
    // Sums and the merge's own factor are numbers of fp32.
    estimate.error =
        (range.high - range.low) / 2 + kArithmetic * std::max(1.0, std::abs(estimate.strength));
  }

  bool is_base_on_grid(Storage storage) const {
    const auto base = reference_dtype_ ? storage_of(*reference_dtype_) : std::nullopt;
    return !base || *base >= storage;  // in the order of falling precision
  }

  std::vector<SampledRows> samples() const {
    constexpr size_t kModules = 100;
    constexpr int64_t kElements = 1 << 16;  ///< of a module
    const size_t step = std::max<size_t>(result_.modules.size() / kModules, 1);
    std::map<std::string, double> shares;
    for (size_t i = 0; i < result_.modules.size(); i += step) {
      shares[module_key(result_.modules[i].id)] = result_.modules[i].information;
    }
    std::vector<SampledRows> samples;
    for (const MatchedModule& m : match_.matched) {
      const auto share = shares.find(module_key({m.component, m.parameter}));
      if (share == shares.end()) continue;
      const Tensor& now = weight(checkpoint_, m);
      const int64_t rows = std::max<int64_t>(kElements * now.size(0) / now.numel(), 1);
      samples.push_back(sample_rows(now, m.module, rows));
      samples.back().share = share->second;
    }
    return samples;
  }

  const fs::path& path_;
  const DetectSettings& settings_;
  const Events& events_;
  Checkpoint checkpoint_;
  LoraMatch match_;
  std::optional<torch::ScalarType> reference_dtype_;
  Detection result_;
};

}  // namespace

const char* to_string(Verdict verdict) {
  constexpr const char* kNames[] = {
      "none", "partial", "full", "more than full", "negative", "other distillation", "unclear"};
  return kNames[static_cast<int>(verdict)];
}

Verdict verdict_of(const StrengthEstimate& estimate) {
  constexpr double kNear = 0.05, kTooWide = 0.35;
  const double tolerance = std::max(kNear, estimate.error);
  if (!(estimate.error < kTooWide)) return Verdict::kUnclear;
  if (std::abs(estimate.strength) <= tolerance) return Verdict::kNone;
  if (std::abs(estimate.strength - 1) <= tolerance) return Verdict::kFull;
  if (estimate.strength < 0) return Verdict::kNegative;
  return estimate.strength > 1 ? Verdict::kMore : Verdict::kPartial;
}

Detection detect(const fs::path& checkpoint, const DetectSettings& settings, const Events& events) {
  const torch::NoGradGuard no_grad;
  return Detector(checkpoint, settings, events).run();
}

}  // namespace fourstep
