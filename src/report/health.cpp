#include "report/health.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>

#include "base/error.h"

namespace fourstep {

namespace {

constexpr size_t kMinPoints = 40;
constexpr size_t kTransientPoints = 50;
constexpr size_t kHalfWindow = 25;

double sum_of_products(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(b.size()), b.begin(),
                            0.0);
}

/// `values` without their least-squares line.
std::vector<double> detrended(std::span<const double> values) {
  const auto count = static_cast<double>(values.size());
  const double middle = (count - 1) / 2, mean = mean_of(values);
  double slope = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    slope += (static_cast<double>(i) - middle) * (values[i] - mean);
  }
  slope /= count * (count * count - 1) / 12;  // the sum of (i - middle)^2
  std::vector<double> out;
  for (size_t i = 0; i < values.size(); ++i) {
    out.push_back(values[i] - mean - slope * (static_cast<double>(i) - middle));
  }
  return out;
}

/// How often `values` go from above `threshold` to below -threshold or back.
size_t count_alternations(std::span<const double> values, double threshold) {
  size_t count = 0;
  int side = 0;
  for (const double value : values) {
    const int now = value > threshold ? 1 : value < -threshold ? -1 : side;
    if (side != 0 && now != side) ++count;
    side = now;
  }
  return count;
}

}  // namespace

double mean_of(std::span<const double> values) {
  return std::reduce(values.begin(), values.end()) / static_cast<double>(values.size());
}

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::optional<Swing> find_swing(std::span<const double> values) {
  if (values.size() < kMinPoints) return std::nullopt;
  const std::vector<double> rest = detrended(values);
  const double energy = sum_of_products(rest, rest);
  const double neighbours = sum_of_products(rest, std::span(rest).subspan(1));
  if (!(energy > 0) || neighbours < 0.3 * energy) return std::nullopt;
  const double deviation = std::sqrt(energy / static_cast<double>(rest.size()));
  const size_t alternations = count_alternations(rest, deviation / 2);
  if (alternations < 4) return std::nullopt;
  return Swing{deviation,
               2.0 * static_cast<double>(rest.size()) / static_cast<double>(alternations)};
}

std::vector<size_t> find_spikes(std::span<const double> values, double factor) {
  std::vector<size_t> spikes;
  bool is_inside = false;
  for (size_t i = kTransientPoints; i < values.size(); ++i) {
    const size_t first = i - kHalfWindow, last = std::min(values.size(), i + kHalfWindow + 1);
    const auto around = values.subspan(first, last - first);
    const bool is_high = values[i] > factor * median_of({around.begin(), around.end()});
    if (is_high && !is_inside) spikes.push_back(i);
    if (is_high && values[i] > values[spikes.back()]) spikes.back() = i;
    is_inside = is_high;
  }
  return spikes;
}

namespace {

using Warnings = std::vector<HealthWarning>;

constexpr size_t kLossPoints = 20;

/// A series under the name that sentences give it.
struct Named {
  std::string name;
  const HealthSeries& series;
};

std::vector<Named> all_series(const HealthHistory& history) {
  std::vector<Named> all = {{"relgap", history.relgap},
                            {"latent std", history.latent_std},
                            {"high-frequency energy", history.hf},
                            {"diversity", history.diversity},
                            {"the discriminator's loss", history.d_loss},
                            {"the generator's adversarial loss", history.g_adv_loss}};
  for (size_t i = 0; i < history.channel_means.size(); ++i) {
    all.push_back({fmt::format("the mean of channel {}", i), history.channel_means[i]});
  }
  return all;
}

void check_series(const Named& named) {
  const auto& [iteration, value] = named.series;
  if (iteration.size() != value.size())
    throw InvalidRequest("check_health: {} has {} iterations and {} values", named.name,
                         iteration.size(), value.size());
  const auto falls = std::adjacent_find(iteration.begin(), iteration.end(),
                                        [](int64_t a, int64_t b) { return b <= a; });
  if (falls != iteration.end())
    throw InvalidRequest("check_health: {}: iteration {} follows {}; they must rise", named.name,
                         falls[1], falls[0]);
}

HealthSeries finite_part(const HealthSeries& series) {
  HealthSeries out;
  for (size_t i = 0; i < series.value.size(); ++i) {
    if (!std::isfinite(series.value[i])) continue;
    out.iteration.push_back(series.iteration[i]);
    out.value.push_back(series.value[i]);
  }
  return out;
}

/// The last `count` values, with their iterations.
HealthSeries tail_of(const HealthSeries& series, size_t count) {
  const auto skipped =
      static_cast<std::ptrdiff_t>(series.value.size() - std::min(count, series.value.size()));
  return {{series.iteration.begin() + skipped, series.iteration.end()},
          {series.value.begin() + skipped, series.value.end()}};
}

/// The first letter in upper case.
std::string sentence(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 32);
  return text + ".";
}

void check_finite(const HealthHistory& history, Warnings& warnings) {
  std::vector<std::string> seen;
  for (const Named& named : all_series(history)) {
    const auto& [iteration, value] = named.series;
    const auto bad =
        std::find_if(value.begin(), value.end(), [](double one) { return !std::isfinite(one); });
    if (bad != value.end())
      seen.push_back(fmt::format("{} is {} at iteration {}", named.name, *bad,
                                 iteration[static_cast<size_t>(bad - value.begin())]));
  }
  if (seen.empty()) return;
  warnings.push_back(
      {HealthProblem::kNotFinite, sentence(fmt::format("{}", fmt::join(seen, ", "))),
       "Go back to a checkpoint before it; keep the divisor mean|x0 - mu_T| of the gradient at "
       "1e-3 "
       "or more and clamp the gradient, and compute the step from eps to x0 in fp32."});
}

std::optional<std::string> swing_seen(const HealthSeries& means, size_t channel, double latent_std,
                                      const HealthLimits& limits) {
  const HealthSeries recent = tail_of(means, static_cast<size_t>(limits.window_points));
  const std::optional<Swing> swing = find_swing(recent.value);
  if (!swing || swing->deviation < limits.swing * latent_std ||
      swing->period_points < static_cast<double>(limits.min_period_points))
    return std::nullopt;
  const auto length = static_cast<double>(recent.iteration.back() - recent.iteration.front());
  const double period =
      swing->period_points * length / static_cast<double>(recent.value.size() - 1);
  return fmt::format(
      "the mean of channel {} swings with a standard deviation of {:.3g} ({:.0f} % of the "
      "teacher's "
      "latent std {:.3g}) and a period of about {:.0f} iterations between iterations {} and {}",
      channel, swing->deviation, 100 * swing->deviation / latent_std, latent_std, period,
      recent.iteration.front(), recent.iteration.back());
}

std::optional<std::string> spikes_seen(const HealthSeries& relgap, const HealthLimits& limits) {
  const std::vector<size_t> spikes = find_spikes(relgap.value, limits.spike);
  const size_t window = std::min(relgap.value.size(), static_cast<size_t>(limits.window_points));
  std::vector<std::string> recent;
  for (const size_t at : spikes) {
    if (at + window >= relgap.value.size())
      recent.push_back(fmt::format("{:.3g} at {}", relgap.value[at], relgap.iteration[at]));
  }
  if (std::ssize(recent) < limits.min_spikes) return std::nullopt;
  const size_t num_spikes = recent.size();
  if (num_spikes > 4) recent.erase(recent.begin(), recent.end() - 4);
  return fmt::format(
      "relgap, mean (mu_T - mu_C)^2, rose above {:.3g} times its median {} times, {}{}",
      limits.spike, num_spikes, num_spikes > 4 ? "last to " : "to ", fmt::join(recent, ", "));
}

void check_critic(const HealthHistory& history, const HealthReference& reference,
                  const HealthLimits& limits, Warnings& warnings) {
  std::vector<std::string> seen;
  for (size_t i = 0; i < history.channel_means.size() && reference.latent_std > 0; ++i) {
    const auto swing =
        swing_seen(finite_part(history.channel_means[i]), i, reference.latent_std, limits);
    if (swing) seen.push_back(*swing);
  }
  if (const auto spikes = spikes_seen(finite_part(history.relgap), limits)) seen.push_back(*spikes);
  if (seen.empty()) return;
  warnings.push_back(
      {HealthProblem::kCriticLag, sentence(fmt::format("{}", fmt::join(seen, "; "))),
       "Double the critic updates per generator update, halve the generator's learning rate, "
       "double "
       "the critic's LoRA rank or lower beta1; to be sure, freeze the generator and train the "
       "critic "
       "for 200 iterations: if its loss falls by more than 3 to 5 %, it was behind."});
}

/// One of the student's statistics beside the teacher's.
struct Guarded {
  const char* name;
  HealthSeries series;
  double reference;
};

/// The median of the last three values: one evaluation may be an outlier.
double recent_value(const HealthSeries& series) { return median_of(tail_of(series, 3).value); }

/// The best of the medians of three values in a row.
double best_value(const HealthSeries& series) {
  double best = recent_value(series);
  for (size_t i = 2; i < series.value.size(); ++i) {
    best = std::max(best, median_of({series.value[i - 2], series.value[i - 1], series.value[i]}));
  }
  return best;
}

/// Where the last stretch of values for which is_bad(value) holds began.
template <typename IsBad>
int64_t begin_of_last_stretch(const HealthSeries& series, const IsBad& is_bad) {
  int64_t begin = series.iteration.back();
  for (size_t i = series.value.size(); i > 0 && is_bad(series.value[i - 1]); --i) {
    begin = series.iteration[i - 1];
  }
  return begin;
}

std::vector<Guarded> with_reference(std::vector<Guarded> all) {
  std::erase_if(
      all, [](const Guarded& one) { return one.series.value.empty() || !(one.reference > 0); });
  return all;
}

/// "hf is 1.40 times the teacher's (0.14, teacher 0.1), beyond +15 % since iteration 250"
std::string guard_seen(const Guarded& one, const char* limit, int64_t since) {
  const double value = recent_value(one.series);
  return fmt::format(
      "{} is {:.2f} times the teacher's ({:.4g}, teacher {:.4g}), beyond {} since iteration {}",
      one.name, value / one.reference, value, one.reference, limit, since);
}

void check_saturation(const HealthHistory& history, const HealthReference& reference,
                      const HealthLimits& limits, Warnings& warnings) {
  std::vector<std::string> seen;
  for (const Guarded& one :
       with_reference({{"latent std", finite_part(history.latent_std), reference.latent_std},
                       {"high-frequency energy", finite_part(history.hf), reference.hf}})) {
    const double limit = (1 + limits.guard) * one.reference;
    if (recent_value(one.series) <= limit) continue;
    const int64_t since =
        begin_of_last_stretch(one.series, [&](double value) { return value > limit; });
    seen.push_back(guard_seen(one, fmt::format("+{:.0f} %", 100 * limits.guard).c_str(), since));
  }
  if (seen.empty()) return;
  warnings.push_back(
      {HealthProblem::kSaturation, sentence(fmt::format("{}", fmt::join(seen, "; "))),
       "Lower the teacher's guidance, split the gradient (decoupled-hybrid), let the generator's "
       "learning rate decay, or keep an earlier checkpoint; a late GAN term or a mean and variance "
       "penalty help as a stop-gap."});
}

void check_collapse(const HealthHistory& history, const HealthReference& reference,
                    const HealthLimits& limits, Warnings& warnings) {
  std::vector<std::string> seen;
  for (const Guarded& one :
       with_reference({{"latent std", finite_part(history.latent_std), reference.latent_std},
                       {"high-frequency energy", finite_part(history.hf), reference.hf},
                       {"diversity", finite_part(history.diversity), reference.diversity}})) {
    const double limit = (1 - limits.guard) * one.reference;
    const double best = best_value(one.series), value = recent_value(one.series);
    if (value >= limit || value > best - limits.fall * one.reference) continue;
    const int64_t since = begin_of_last_stretch(one.series, [&](double v) { return v < limit; });
    seen.push_back(fmt::format(
        "{}, fallen from {:.4g}",
        guard_seen(one, fmt::format("-{:.0f} %", 100 * limits.guard).c_str(), since), best));
  }
  if (seen.empty()) return;
  warnings.push_back({HealthProblem::kCollapse, sentence(fmt::format("{}", fmt::join(seen, "; "))),
                      "Check that the critic runs in its own role (its LoRA, not the student's), "
                      "that its optimizer "
                      "steps, and that the sample is detached for the critic's loss alone; then "
                      "halve the generator's "
                      "learning rate."});
}

/// The mean of the last values where there are enough of them.
std::optional<double> recent_mean(const HealthSeries& series) {
  constexpr size_t kAtLeast = 5;
  if (series.value.size() < kAtLeast) return std::nullopt;
  return mean_of(tail_of(series, kLossPoints).value);
}

void check_discriminator(const HealthHistory& history, const HealthLimits& limits,
                         Warnings& warnings) {
  std::vector<std::string> seen;
  const HealthSeries d_loss = finite_part(history.d_loss),
                     g_adv_loss = finite_part(history.g_adv_loss);
  const std::optional<double> d = recent_mean(d_loss), g = recent_mean(g_adv_loss);
  if (d && *d < limits.d_loss)
    seen.push_back(fmt::format(
        "the discriminator's loss is {:.3g} at iteration {}, below {:.3g} (1.39 is chance)", *d,
        d_loss.iteration.back(), limits.d_loss));
  if (g && *g > limits.g_adv_loss)
    seen.push_back(
        fmt::format("the generator's adversarial loss is {:.3g} at iteration {}, above {:.3g}", *g,
                    g_adv_loss.iteration.back(), limits.g_adv_loss));
  if (seen.empty()) return;
  warnings.push_back(
      {HealthProblem::kDiscriminatorWins, sentence(fmt::format("{}", fmt::join(seen, "; "))),
       "Lower the weight of the adversarial loss or the discriminator's learning rate, add an R1 "
       "penalty on the noised input, or widen the range of its noise levels."});
}

const char* title_of(HealthProblem problem) {
  switch (problem) {
    case HealthProblem::kNotFinite:
      return "Not finite";
    case HealthProblem::kCriticLag:
      return "Critic lag";
    case HealthProblem::kSaturation:
      return "Saturation";
    case HealthProblem::kCollapse:
      return "Collapse";
    case HealthProblem::kDiscriminatorWins:
      return "The discriminator wins";
  }
  return "";
}

}  // namespace

std::vector<HealthWarning> check_health(const HealthHistory& history,
                                        const HealthReference& reference,
                                        const HealthLimits& limits) {
  for (const Named& named : all_series(history)) check_series(named);
  Warnings warnings;
  check_finite(history, warnings);
  check_collapse(history, reference, limits, warnings);
  check_saturation(history, reference, limits, warnings);
  check_critic(history, reference, limits, warnings);
  check_discriminator(history, limits, warnings);
  return warnings;
}

std::string to_string(const HealthWarning& warning) {
  return fmt::format("{}: {} {}", title_of(warning.problem), warning.seen, warning.advice);
}

}  // namespace fourstep
