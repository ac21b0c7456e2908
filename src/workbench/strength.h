#pragma once
// One strength from the estimates of many modules, with an error bar that the scatter of the modules gives.

#include <span>
#include <string>
#include <vector>

#include "lora/lora_stack.h"

namespace fourstep {

/// What one module says.
struct ModuleStrength {
  ParameterId id;
  double strength = 0;     ///< <X, D> / <D, D>, X being what the checkpoint adds to the base
  double information = 0;  ///< the inverse of its variance, up to a factor common to all modules
};

struct StrengthEstimate {
  double strength = 0;
  double error = 0;    ///< half the width of the 95% interval
  double scatter = 0;  ///< robust deviation of the modules, in units of 1 / sqrt(information)
  size_t num_modules = 0;
};

/// Huber's M-estimate of location (Huber 1964, k = 1.5) from the weighted median, so that a few modules that
/// something else changed do not count; the error is its asymptotic one as the residuals show it (sum of psi^2 over
/// the square of the sum of psi', Huber 1964, eq. 30) times Student's 97.5% quantile for the effective number of modules.
/// With one module the error is infinite. Throws Error without any module.
StrengthEstimate pooled(std::span<const ModuleStrength> modules);

/// Student's two-sided 95% quantile (Abramowitz and Stegun 26.7.5, within 1% from 3 degrees on).
double student_quantile(double degrees_of_freedom);

}  // namespace fourstep
