#pragma once
// Signs of trouble in the numbers of a DMD2 distillation: what goes wrong most often, how it shows,
// and what to try.
// Sources: DMD2 (2405.14867), appendix C (critic lag shows as swings of the mean brightness); the
// limits were chosen on small models and are starting points.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace fourstep {

// Oscillations and spikes in series of numbers.

struct Swing {
  double deviation = 0;      ///< standard deviation around the linear trend
  double period_points = 0;  ///< values per full swing
};

/// A slow oscillation of `values` around their linear trend: at least two full swings, each point
/// like its neighbour (autocorrelation at lag 1 of at least 0.3, which noise and single outliers do
/// not have). Nothing for fewer than 40 values.
std::optional<Swing> find_swing(std::span<const double> values);

/// Indices of the peaks above `factor` times the median of the 51 values around them; of
/// neighbouring values above it the largest alone. The first 50 values are passed over: many series
/// begin with a transient. values >= 0.
std::vector<size_t> find_spikes(std::span<const double> values, double factor);

double median_of(std::vector<double> values);  ///< values: at least one
double mean_of(std::span<const double> values);

/// One quantity: value[i] was measured at iteration[i], iterations in rising order. What was not
/// measured is left out; a NaN counts as trouble. Empty where the run does not have the quantity.
struct HealthSeries {
  std::vector<int64_t> iteration;
  std::vector<double> value;
};

struct HealthHistory {
  /// Means over the student's batch, one series per latent channel (or the brightness alone).
  std::vector<HealthSeries> channel_means;
  HealthSeries relgap;      ///< mean (mu_T - mu_C)^2: how far critic and teacher are apart
  HealthSeries latent_std;  ///< of the student's samples, over all elements
  HealthSeries hf;          ///< their high-frequency energy: mean squared finite difference
  HealthSeries diversity;   ///< their variance within one prompt
  HealthSeries d_loss;      ///< of the discriminator; 2 ln 2 = 1.39 is chance
  HealthSeries g_adv_loss;  ///< the generator's adversarial loss, before its weight
};

/// The teacher's samples with all its steps at the same guidance; 0 is unknown and turns off what
/// needs it.
struct HealthReference {
  double latent_std = 0, hf = 0, diversity = 0;
};

struct HealthLimits {
  /// Swings and spikes are looked for in as many last values.
  int64_t window_points = 300;
  /// latent_std, hf and diversity stay within 1 +- guard of the reference.
  double guard = 0.15;
  /// A collapse has lost this share of the reference since its best: students begin below the
  /// guard.
  double fall = 0.12;
  /// Standard deviation of a channel's mean over the teacher's latent_std; 0.05 to 0.11 in healthy
  /// runs.
  double swing = 0.2;
  int64_t min_period_points = 8;  ///< faster changes are the noise of batches
  double spike = 5;               ///< relgap over its running median
  int64_t min_spikes = 3;
  double d_loss = 0.3;    ///< mean of the last 20 values; 0.9 to 1.2 in healthy runs
  double g_adv_loss = 3;  ///< mean of the last 20 values; 0.85 to 1.6 in healthy runs
};

enum class HealthProblem { kNotFinite, kCriticLag, kSaturation, kCollapse, kDiscriminatorWins };

struct HealthWarning {
  HealthProblem problem;
  std::string seen;    ///< numbers and iterations, one sentence
  std::string advice;  ///< what to try, one sentence
};

/// What the history warns of, at most one of each kind, the gravest first; empty for a healthy run.
/// Needs 40 values for swings and spikes, 5 for the losses, 1 for the others.
/// Throws InvalidRequest when iterations and values of a series differ in number or the iterations
/// do not rise.
std::vector<HealthWarning> check_health(const HealthHistory& history,
                                        const HealthReference& reference,
                                        const HealthLimits& limits = {});

/// "Critic lag: ... Try this: ...", for terminals, logs and reports.
std::string to_string(const HealthWarning& warning);

}  // namespace fourstep
