#pragma once
// All random numbers of one iteration, drawn before it: the iteration is then a function of
// tensors, which a reference program can compute again.

#include <functional>

#include "base/tensor.h"
#include "distill/config.h"
#include "distill/losses.h"
#include "distill/views.h"
#include "train/optimizer.h"

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

/// Draws for the whole batch of `shape`, each from a stream of its own: leaving a part out (no GAN)
/// changes no other.
StepDraws draw_step(const DistillConfig& config, uint64_t seed, int64_t iteration,
                    const Shape& shape);

/// The samples [begin, begin + count) of the draws, on `device`: what one process works on.
StepDraws part_of(const StepDraws& draws, int64_t begin, int64_t count, torch::Device device);

// One iteration of DMD2: backward simulation, the student's turn (every few iterations), the
// critic's turn.

/// What learns, and how it is stepped.
struct Distillation {
  DistillConfig config;
  Views views;
  Discriminator discriminator{nullptr};  ///< empty without GAN
  AdamW student_optimizer, critic_optimizer;
  NoiseLevels levels;
  /// Averages the gradients of several processes; empty for one.
  std::function<void(const NamedTensors& parameters)> average_gradients = {};

  /// The critic's and the discriminator's parameters ("discriminator/NAME").
  const NamedTensors& critic_parameters() const { return critic_optimizer.parameters(); }
};

/// unet: the teacher. latent_shape: [C,h,w], for the discriminator's size.
Distillation make_distillation(const DistillConfig& config, UNet unet, const Shape& latent_shape,
                               uint64_t seed);

struct DistillBatch {
  Conditioning cond;  ///< of the student's samples
  Tensor real{};      ///< [B,4,h,w]; undefined without GAN
  Conditioning real_cond{};
};

/// Settings of an iteration that change over the run.
struct StepSchedule {
  bool is_student_turn = true;
  bool has_gan = false;
  double cfg_scale = 1;
  double student_lr = 0, critic_lr = 0;
};
StepSchedule schedule_of(const DistillConfig& config, int64_t iteration);

/// What an iteration computed. Undefined tensors and empty optionals: not in this iteration.
struct StepResult {
  Tensor x0;        ///< the student's samples, detached
  Tensor gradient;  ///< g, before it is divided by the number of elements
  std::optional<double> matching_loss, gan_loss, student_grad_norm;
  double critic_loss = 0;
  std::optional<double> discriminator_loss;
  double critic_grad_norm = 0;
};

/// The student's samples of an iteration: steps 0..k-1 without gradients, then step k; each step
/// predicts x0 and all but the last noise it again. Gradients flow through the last step alone, and
/// only with `with_gradient`.
/// Source: DMD2, sec. 4.4 (backward simulation); sd_unified_model.py 127-201.
Tensor simulate_student(Distillation& d, const Conditioning& cond, const StepDraws& draws,
                        bool with_gradient);

/// Both turns. Parameters and optimisers are changed in place.
StepResult train_step(Distillation& d, const DistillBatch& batch, const StepDraws& draws,
                      const StepSchedule& schedule);

}  // namespace fourstep
