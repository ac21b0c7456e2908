#include "guidance/method.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace fourstep {

Tensor combine_cfg(const CondUncond& pair, double scale) {
  return pair.uncond + (pair.cond - pair.uncond) * scale;
}

bool is_neutral_scale(double scale) { return std::abs(scale - 1) <= 1e-9; }

StepPosition position_of(const std::vector<double>& sigmas, double sigma) {
  const auto num_steps = std::max(static_cast<int64_t>(sigmas.size()) - 1, int64_t{1});
  const double level = sigma * (1 - 1e-6);  // levels pass through fp32 in some callers
  const auto above =
      std::count_if(sigmas.begin(), sigmas.end(), [&](double own) { return own >= level; });
  return {std::clamp(static_cast<int64_t>(above) - 1, int64_t{0}, num_steps - 1), num_steps};
}

double quarter_angle(StepPosition position) {
  return std::numbers::pi / 2 * static_cast<double>(position.step) /
         static_cast<double>(position.num_steps);
}

void check_length(const char* flag, const std::vector<double>& list, const char* example) {
  const size_t length = split_text(example, ',').size();
  if (list.empty() || list.size() == length) return;
  throw InvalidRequest("{}: {} numbers, expected {}, for instance {}", flag, list.size(), length,
                       example);
}

Tensor rows_of_batch(const Tensor& rows, int64_t batch) {
  if (!rows.defined() || rows.size(0) == batch) return rows;
  Shape shape = shape_of(rows);
  if (shape[0] != 1) {
    throw Error("guidance: conditioning of {} rows, expected 1 or {}, one for each image", shape[0],
                batch);
  }
  shape[0] = batch;
  return rows.expand(shape);
}

Tensor sum_per_sample(const Tensor& x) { return x.sum(at::IntArrayRef{1, 2, 3}, true); }

Tensor std_per_sample(const Tensor& x) {
  return x.std(at::IntArrayRef{1, 2, 3}, /*unbiased=*/true, /*keepdim=*/true);
}

Tensor norm_per_sample(const Tensor& x) { return sum_per_sample(x * x).sqrt(); }

}  // namespace fourstep
