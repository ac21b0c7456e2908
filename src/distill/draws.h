#pragma once
// All random numbers of one iteration, drawn before it: the iteration is then a function of tensors, which a
// reference program can compute again.

#include "base/tensor.h"
#include "distill/config.h"
#include "distill/losses.h"

namespace fourstep {

struct StepDraws {
  int64_t student_step =
      0;  ///< k: index into config.timesteps, the same for all samples and processes
  std::vector<Tensor>
      rollout;           ///< k + 1 noises: the first state, then one for each step made; [B,4,h,w]
  DecoupledAt matching;  ///< guidance is used in decoupled mode alone
  NoisedAt gan;          ///< of the student's adversarial loss
  NoisedAt critic;
  NoisedAt fake, real;  ///< of the discriminator's loss
};

/// Draws for the whole batch of `shape`, each from a stream of its own: leaving a part out (no GAN) changes no other.
StepDraws draw_step(const DistillConfig& config, uint64_t seed, int64_t iteration,
                    const Shape& shape);

/// The samples [begin, begin + count) of the draws, on `device`: what one process works on.
StepDraws part_of(const StepDraws& draws, int64_t begin, int64_t count, torch::Device device);

}  // namespace fourstep
