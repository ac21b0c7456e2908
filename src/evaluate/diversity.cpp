#include "evaluate/diversity.h"

#include "base/error.h"

namespace fourstep {

double mean_pairwise_distance(const Tensor& rows) {
  check_shape(rows, {-1, -1}, "mean_pairwise_distance: rows");
  const int64_t count = rows.size(0);
  if (count < 2) throw Error("mean_pairwise_distance: {} rows have no pair; at least 2", count);
  return at::pdist(rows.to(torch::kCPU, torch::kFloat64).contiguous()).mean().item<double>();
}

double diversity_of(const Tensor& features, int64_t per_prompt) {
  if (per_prompt < 1 || features.size(0) == 0 || features.size(0) % per_prompt != 0) {
    throw Error("diversity_of: {} pictures are not whole prompts of {}", features.size(0),
                per_prompt);
  }
  double sum = 0;
  const int64_t num_prompts = features.size(0) / per_prompt;
  for (int64_t i = 0; i < num_prompts; ++i) {
    sum += mean_pairwise_distance(features.narrow(0, i * per_prompt, per_prompt));
  }
  return sum / static_cast<double>(num_prompts);
}

}  // namespace fourstep
