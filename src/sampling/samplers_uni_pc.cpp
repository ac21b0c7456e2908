// UniPC: unified predictor and corrector.
#include "sampling/samplers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

namespace fourstep {

namespace {

enum class Scale { kBh1, kBh2 };

/// Estimates with the lambda (-log sigma) they were made at, the newest first.
struct Estimates {
  std::vector<Tensor> denoised;
  std::vector<double> lambda;

  void push(const Tensor& newest, double sigma, size_t keep) {
    denoised.insert(denoised.begin(), newest);
    lambda.insert(lambda.begin(), -std::log(sigma));
    if (denoised.size() > keep) denoised.pop_back(), lambda.pop_back();
  }
};

/// Solves sum_k rho_k r_k^(j-1) = b_j for j = 1..n (2302.04867, eq. 5). n is at most 3.
std::vector<double> solve_vandermonde(const std::vector<double>& r, const std::vector<double>& b) {
  const auto n = static_cast<int64_t>(r.size());
  const Tensor nodes = torch::tensor(r, torch::kFloat64);
  const Tensor powers = nodes.unsqueeze(0).pow(torch::arange(n, torch::kFloat64).unsqueeze(1));
  const Tensor rho = at::linalg_solve(powers, torch::tensor(b, torch::kFloat64));
  return {rho.data_ptr<double>(), rho.data_ptr<double>() + n};
}

/// One step from the newest estimate to sigma `to`, as predictor or corrector.
class UniPcStep {
 public:
  /// order: how many estimates are used, at most as many as there are.
  UniPcStep(const Estimates& known, const Step& s, int order, Scale scale) : known_(known) {
    const double h = s.h();
    big_b_ = scale == Scale::kBh1 ? -h : std::expm1(-h);
    for (int k = 1; k < order; ++k) r_.push_back((known.lambda[k] - known.lambda[0]) / h);
    double phi = std::expm1(-h) / -h - 1, factorial = 1;
    for (int j = 1; j <= order; ++j) {
      factorial *= j;
      b_.push_back(phi * factorial / big_b_);
      phi = phi / -h - 1 / (factorial * (j + 1));
    }
  }

  /// `base`, the first-order step, corrected by the estimates there are.
  Tensor predict(const Tensor& base) const {
    if (r_.empty()) return base;
    if (r_.size() == 1) return base - difference(0) * (big_b_ / 2);
    return base - weighted(solve_vandermonde(r_, {b_.begin(), b_.end() - 1})) * big_b_;
  }

  /// The same with the estimate at the step's end.
  Tensor correct(const Tensor& base, const Tensor& at_end) const {
    const Tensor change = at_end - known_.denoised[0];
    if (r_.empty()) return base - change * (big_b_ / 2);
    std::vector<double> r = r_;
    r.push_back(1);
    const std::vector<double> rho = solve_vandermonde(r, b_);
    return base - (weighted(rho) + change * rho.back()) * big_b_;
  }

 private:
  Tensor difference(size_t k) const {
    return (known_.denoised[k + 1] - known_.denoised[0]) / r_[k];
  }
  Tensor weighted(const std::vector<double>& rho) const {
    Tensor sum = difference(0) * rho[0];
    for (size_t k = 1; k < r_.size(); ++k) sum = sum + difference(k) * rho[k];
    return sum;
  }

  const Estimates& known_;
  double big_b_;
  std::vector<double> r_, b_;
};

/// The list; where the formula is used to the end, with a last 0 replaced by a level that has a
/// logarithm, below that of the step before.
std::vector<double> levels_of(const SamplerRun& run) {
  constexpr double kLast = 0.001;
  std::vector<double> list(run.sigmas.begin(), run.sigmas.end());
  const bool is_formula = run.settings.last_step == LastStep::kFormula;
  if (is_formula && list.size() > 1 && list.back() == 0) {
    list.back() = std::min(kLast, list[list.size() - 2] / 2);
  }
  return list;
}

Tensor sample_with(Scale scale, const SamplerRun& run, Tensor x, const OnStep& on_step) {
  const std::vector<double> sigmas = levels_of(run);
  SamplerRun planned = run;
  planned.sigmas = sigmas;
  const int num_steps = static_cast<int>(sigmas.size()) - 1;
  const int most = std::min(run.settings.order, num_steps - 1);
  Estimates known;
  Tensor base;
  Step last{0, 0, 0};
  int order = 0;
  const auto advance = [&](const Tensor& predicted, const Tensor& denoised, const Step& s) {
    if (most < 1) return denoised;  // a single step
    const Tensor x =
        base.defined() ? UniPcStep(known, last, order, scale).correct(base, denoised) : predicted;
    known.push(denoised, s.from, static_cast<size_t>(most));
    const int index = static_cast<int>(s.index);
    order = std::min({most, index + 1, num_steps - index});
    base = shrink(x, denoised, s.to / s.from);
    last = s;
    return UniPcStep(known, s, order, scale).predict(base);
  };
  return run_steps(planned, std::move(x), on_step, advance);
}

/// UniPC with B(h) = h ("bh1"). A last sigma of 0 becomes 0.001, as in ComfyUI, unless
/// settings.last_step asks for the estimate, as diffusers ends; a single step returns the estimate.
/// settings.order: 1 to 3 estimates. Source: Zhao et al. 2023 (2302.04867), algorithms 1 and 2.
Tensor sample_uni_pc(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return sample_with(Scale::kBh1, run, std::move(x), on_step);
}

/// UniPC with B(h) = exp(h) - 1 ("bh2"), the paper's choice for few steps.
Tensor sample_uni_pc_bh2(const SamplerRun& run, Tensor x, const OnStep& on_step) {
  return sample_with(Scale::kBh2, run, std::move(x), on_step);
}

constexpr auto kUniPcSamplers = std::to_array<SamplerRow>({
    {.name = "uni_pc",
     .function = sample_uni_pc,
     .help = "predictor and corrector of order 3",
     .defaults = {.last_step = LastStep::kFormula},
     .names = {.a1111 = "UniPC"},
     .a1111 = {.list = A1111List::kUniPc},
     .comfyui = {.discards_penultimate = true},
     .diffusers = {.classes = "UniPCMultistepScheduler",
                   .settings = "solver_type=bh1;solver_order=2",
                   .by_default = false,
                   .solver = SolverKind::kMultistep,
                   .order = 2}},
    {.name = "uni_pc_bh2",
     .function = sample_uni_pc_bh2,
     .help = "uni_pc for few steps",
     .defaults = {.last_step = LastStep::kFormula},
     .names = {.others = "unipc_k>karras"},
     .comfyui = {.discards_penultimate = true},
     .diffusers = {.classes = "UniPCMultistepScheduler",
                   .settings = "solver_type=bh2;solver_order=2",
                   .solver = SolverKind::kMultistep,
                   .order = 2}},
});

}  // namespace

std::span<const SamplerRow> uni_pc_samplers() { return kUniPcSamplers; }

}  // namespace fourstep
