#pragma once
// The toy denoiser of the golden sampler files, and denoisers that are exact for Gaussian data.

#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "sampling/denoiser.h"
#include "sampling/samplers.h"
#include "support/golden.h"

namespace fourstep::testing {

inline Tensor sigma_factor(const Tensor& sigma, const Tensor& x) {
  return sigma.to(x.options()).view({-1, 1, 1, 1});
}

/// p + (x - p) a / (a + sigma^2) + c sin(w x / sqrt(1 + sigma^2)); `pattern` is p, the golden
/// files' p_n (with the prompt) or q_n (without).
struct Toy {
  Shape shape;
  double a = 0, c = 0, w = 0;

  explicit Toy(const nlohmann::json& meta)
      : shape(meta["shape"].get<Shape>()), a(meta["a"]), c(meta["c"]), w(meta["w"]) {}

  Tensor tensor(const std::vector<double>& values) const {
    return torch::tensor(values, torch::kFloat64).view(shape);
  }
  Tensor tensor(const nlohmann::json& values) const { return tensor(numbers(values)); }

  Denoiser cond() const {
    const Tensor n = index();
    return with_pattern(0.6 * (0.7 * n + 0.3).sin() - 0.25 * (0.31 * n).cos());
  }
  Denoiser uncond() const {
    const Tensor n = index();
    return with_pattern(0.4 * (0.5 * n - 0.2).cos() + 0.1 * (1.1 * n).sin());
  }

 private:
  Tensor index() const {
    int64_t size = 1;
    for (const int64_t length : shape) size *= length;
    return torch::arange(size, torch::kFloat64).view(shape);
  }
  Denoiser with_pattern(const Tensor& p) const {
    return [p, a = a, c = c, w = w](const Tensor& x, const Tensor& sigma) {
      const Tensor s2 = sigma_factor(sigma, x).square();
      return p + (x - p) * (a / (a + s2)) + c * (w * x / (1 + s2).sqrt()).sin();
    };
  }
};

/// The posterior mean of x0 when the data are normal with this deviation: x s^2 / (s^2 + sigma^2).
inline Denoiser gaussian_denoiser(double deviation) {
  return [variance = deviation * deviation](const Tensor& x, const Tensor& sigma) {
    return x * (variance / (variance + sigma_factor(sigma, x).square()));
  };
}

/// Where the probability flow ODE of such data leads from x (what a consistency model learns).
inline Denoiser gaussian_consistency(double deviation) {
  return [deviation](const Tensor& x, const Tensor& sigma) {
    return x * (deviation / (deviation * deviation + sigma_factor(sigma, x).square()).sqrt());
  };
}

}  // namespace fourstep::testing
