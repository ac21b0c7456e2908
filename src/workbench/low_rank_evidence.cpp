#include "workbench/low_rank_evidence.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <cmath>

#include "lora/fuse.h"

namespace fourstep {
namespace {

constexpr size_t kModules = 12;
constexpr int64_t kLargestRank = 64;

/// rest of one module: is it a sizable low-rank matrix?
bool is_low_rank_rest(const Tensor& rest, const Tensor& change) {
  constexpr double kSizable = 0.2;
  if (rest.norm().item<double>() < kSizable * change.norm().item<double>()) return false;
  const auto m = static_cast<double>(rest.size(0)), n = static_cast<double>(rest.size(1));
  const int64_t rank = std::min<int64_t>(kLargestRank, std::min(rest.size(0), rest.size(1)) / 8);
  if (rank < 1) return false;
  const double noise =
      static_cast<double>(rank) * std::pow(std::sqrt(m) + std::sqrt(n), 2) / (m * n);
  return low_rank_share(rest, rank) > (1 + std::min(noise, 1.0)) / 2;
}

}  // namespace

double low_rank_share(const Tensor& matrix, int64_t rank) {
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(1);
  const Tensor probe = at::randn({matrix.size(1), rank}, generator, torch::kFloat);
  const Tensor basis = std::get<0>(torch::linalg_qr(torch::mm(matrix, probe)));
  const double whole = matrix.square().sum(torch::kDouble).item<double>();
  if (whole == 0) return 0;
  return torch::mm(basis.t(), matrix).square().sum(torch::kDouble).item<double>() / whole;
}

bool has_other_low_rank_change(const Checkpoint& checkpoint, const Checkpoint& base,
                               const LoraMatch& match, double strength) {
  size_t looked_at = 0, found = 0;
  const size_t step = std::max<size_t>(match.matched.size() / kModules, 1);
  for (size_t i = 0; i < match.matched.size(); i += step) {
    const MatchedModule& m = match.matched[i];
    const Tensor& now = checkpoint.components.at(m.component).at(m.parameter);
    if (now.dim() < 2 || m.module.dora_scale.defined()) continue;
    const Tensor& before = base.components.at(m.component).at(m.parameter);
    const Tensor change = delta(m.module, shape_of(now)).flatten(1);
    const Tensor difference = aligned(now).to(torch::kFloat) - aligned(before).to(torch::kFloat);
    found += is_low_rank_rest(difference.flatten(1) - change * strength, change) ? 1 : 0;
    ++looked_at;
  }
  return 2 * found > looked_at;
}

}  // namespace fourstep
