#pragma once
// The beta distribution, as far as the `beta` schedule needs it.

namespace fourstep {

/// The regularised incomplete beta function I_x(a, b) for a, b > 0 and x in 0..1, by its continued fraction.
/// Source: NIST Digital Library of Mathematical Functions, 8.17.22.
double incomplete_beta(double x, double a, double b);

/// The x at which I_x(a, b) = probability (0..1), by bisection down to neighbouring doubles.
double beta_quantile(double probability, double a, double b);

}  // namespace fourstep
