#pragma once
// DMD2 on the tiny UNet, with latents of 8x8: an iteration takes a fraction of a second.

#include "distill/train_step.h"
#include "support/tiny_model.h"
#include "train/random.h"

namespace fourstep::testing {

inline const Shape kTinyShape = {3, 4, 8, 8};

inline Distillation tiny_distillation(const DistillConfig& config, uint64_t seed = 1) {
  return make_distillation(config, tiny_unet(), {kTinyShape.begin() + 1, kTinyShape.end()}, seed);
}

/// With prompts for the student and, for the discriminator, other latents under other prompts.
inline DistillBatch tiny_batch(int64_t count = kTinyShape[0]) {
  return {tiny_conditioning(count, 1), draw_normal({1, "latents", 0}, {count, 4, 8, 8}),
          tiny_conditioning(count, 2)};
}

/// Adds normal numbers times `size` to all tensors: a student or critic that has gone some way.
inline void perturb(const NamedTensors& parameters, double size, uint64_t seed) {
  const torch::NoGradGuard no_grad;
  for (const auto& [name, parameter] : parameters) {
    parameter.add_(draw_normal({seed, name, 0}, shape_of(parameter)), size);
  }
}

/// |a - b| / |b| over all elements.
inline double relative_difference(const Tensor& a, const Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

inline bool is_equal(const NamedTensors& a, const NamedTensors& b) {
  return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const auto& item) {
           return b.count(item.first) && torch::equal(item.second, b.at(item.first));
         });
}

}  // namespace fourstep::testing
