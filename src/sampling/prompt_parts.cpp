#include "sampling/prompt_parts.h"

#include <utility>

namespace fourstep {

Denoiser sum_of_parts(std::vector<WeightedDenoiser> parts) {
  return [parts = std::move(parts)](const Tensor& x, const Tensor& sigma) {
    Tensor sum = parts.front().denoise(x, sigma) * parts.front().weight;
    for (size_t i = 1; i < parts.size(); ++i) {
      sum = sum + parts[i].denoise(x, sigma) * parts[i].weight;
    }
    return sum;
  };
}

PairDenoiser compose_parts(PairDenoiser first, double weight,
                           std::vector<WeightedDenoiser> others) {
  return [first = std::move(first), weight, others = std::move(others)](const Tensor& x,
                                                                        const Tensor& sigma) {
    const CondUncond pair = first(x, sigma);
    Tensor cond = pair.uncond + (pair.cond - pair.uncond) * weight;
    for (const WeightedDenoiser& part : others) {
      cond = cond + (part.denoise(x, sigma) - pair.uncond) * part.weight;
    }
    return CondUncond{cond, pair.uncond};
  };
}

}  // namespace fourstep
