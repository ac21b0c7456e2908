#pragma once
// All settings of a distillation in one struct. The defaults are for small models; those of the
// published SDXL LoRA are in docs/distillation.md.

#include <cstdint>
#include <string>
#include <vector>

#include "base/fields.h"

namespace fourstep {

struct DistillConfig {
  std::string model = {};
  std::string out = "out/distill";
  uint64_t seed = 0;
  std::string prompts = {};
  std::string data = {};
  std::string latents = {};
  std::string real_latents = {};
  int64_t resolution = 0;
  int64_t save_every = 100;
  int64_t sample_every = 500;

  std::vector<double> timesteps{999, 749, 499, 249};
  std::string student = "lora";
  std::string backbone = "shared";
  int64_t student_rank = 16;
  double student_alpha = 16;
  int64_t critic_rank = 32;
  double critic_alpha = 32;
  bool gradient_checkpointing = false;

  int64_t iterations = 5000;
  int64_t batch = 32;
  int64_t critic_ratio = 5;
  double student_lr = 1e-4;
  double critic_lr = 3e-4;
  int64_t warmup = 20;
  double last_lr_share = 0.1;
  double beta1 = 0.5;
  double weight_decay = 0;
  double max_grad_norm = 1;
  double ema = 0.99;
  std::string precision = "fp32";

  double cfg_scale = 1.5;
  double cfg_ramp = 0.2;
  bool decoupled = true;
  int64_t min_timestep = 20;
  int64_t max_timestep = 980;

  double gan_weight = 0;
  double discriminator_weight = 0.01;
  double gan_start = 0.5;
};

/// The fields that say what the student learns from.
template <typename AnyConfig, typename Visitor>
void visit_loss_fields(AnyConfig& c, Visitor&& visit) {
  using Info = FieldInfo;
  visit(Info{"cfg_scale", "the teacher's guidance that the student learns", "", 1, 100},
        c.cfg_scale);
  visit(Info{"cfg_ramp", "share of the run over which guidance rises from 1", "", 0, 1},
        c.cfg_ramp);
  visit(Info{"decoupled",
             "guidance is learned at noise levels below the student's step (Decoupled DMD)"},
        c.decoupled);
  visit(Info{"min_timestep", "of distribution matching", "", 0, 999}, c.min_timestep);
  visit(Info{"max_timestep", "of distribution matching", "", 0, 999}, c.max_timestep);

  visit(Info{"gan_weight", "of the adversarial loss of the student; 0: no GAN", "", 0, 1e6},
        c.gan_weight);
  visit(Info{"discriminator_weight", "of the discriminator's loss beside the critic's", "", 0, 1e6},
        c.discriminator_weight);
  visit(Info{"gan_start", "share of the run before the adversarial loss begins", "", 0, 1},
        c.gan_start);
}

template <typename AnyConfig, typename Visitor>
void visit_fields(AnyConfig& c, Visitor&& visit) requires
    std::same_as<std::remove_const_t<AnyConfig>, DistillConfig> {
  using Info = FieldInfo;
  visit(Info{"model", "checkpoint of the teacher"}, c.model);
  visit(Info{"out", "folder for states, logs, sheets and the LoRA"}, c.out);
  visit(Info{"seed", "seed of adapters, prompts and noise"}, c.seed);
  visit(Info{"prompts", "text file, a prompt per line"}, c.prompts);
  visit(Info{"data", "folder of real images with captions in NAME.txt, for the discriminator"},
        c.data);
  visit(Info{"latents", "file of these images encoded; OUT/latents.safetensors when not given"},
        c.latents);
  visit(
      Info{"real_latents",
           "file with latents and captions instead of --data; with --emoji latents.safetensors of "
           "\"train\""},
      c.real_latents);
  visit(
      Info{"resolution", "side of the square pictures to train at; 0: the model's", "px", 0, 8192},
      c.resolution);
  visit(Info{"save_every", "iterations between states", "steps", 1, 1e9}, c.save_every);
  visit(Info{"sample_every", "iterations between sheets of samples; 0: none", "steps", 0, 1e9},
        c.sample_every);

  visit(Info{"timesteps", "timesteps of the student, falling; 399 alone for one step", "", 0, 999},
        c.timesteps);
  visit(Info{"student", "lora, or full: all weights of the UNet"}, c.student);
  visit(Info{"backbone",
             "shared: teacher, student and critic are one network with adapters; separate: three "
             "networks"},
        c.backbone);
  visit(Info{"student_rank", "rank of the student's LoRA", "", 1, 4096}, c.student_rank);
  visit(Info{"student_alpha", "its change is multiplied by alpha / rank", "", 0, 1e6},
        c.student_alpha);
  visit(Info{"critic_rank", "rank of the critic's LoRA (shared backbone)", "", 1, 4096},
        c.critic_rank);
  visit(Info{"critic_alpha", "as student_alpha", "", 0, 1e6}, c.critic_alpha);
  visit(Info{"gradient_checkpointing",
             "compute blocks twice instead of keeping what is inside: less memory, slower"},
        c.gradient_checkpointing);

  visit(Info{"iterations", "critic updates", "steps", 0, 1e9}, c.iterations);
  visit(Info{"batch", "samples per iteration, of all processes together", "", 1, 65536}, c.batch);
  visit(Info{"critic_ratio", "critic updates per student update", "", 1, 1000}, c.critic_ratio);
  visit(Info{"student_lr", "peak learning rate of the student", "", 0, 1}, c.student_lr);
  visit(Info{"critic_lr", "learning rate of critic and discriminator", "", 0, 1}, c.critic_lr);
  visit(Info{"warmup", "iterations over which learning rates rise", "steps", 0, 1e6}, c.warmup);
  visit(Info{"last_lr_share", "share of the student's rate that is left at the end", "", 0, 1},
        c.last_lr_share);
  visit(Info{"beta1", "AdamW's beta1 of both optimisers", "", 0, 0.9999}, c.beta1);
  visit(Info{"weight_decay", "of both optimisers", "", 0, 1}, c.weight_decay);
  visit(Info{"max_grad_norm", "gradients are scaled down to this norm; 0: never", "", 0, 1e6},
        c.max_grad_norm);
  visit(Info{"ema", "share of the student's average that stays at each update; 0: no average", "",
             0, 1},
        c.ema);
  visit(Info{"precision", "fp32, or bf16 for products and convolutions"}, c.precision);

  visit_loss_fields(c, visit);
}

/// Throws InvalidRequest when settings contradict each other.
void validate(const DistillConfig& config);

}  // namespace fourstep
