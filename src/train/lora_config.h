#pragma once
// All settings of a LoRA fine-tuning in one struct; the file and the command line derive from its
// list of fields.

#include <concepts>
#include <cstdint>
#include <string>

#include "base/fields.h"

namespace fourstep {

struct LoraTrainConfig {
  std::string model;
  std::string vae;
  std::string text_encoder;
  std::string text_encoder_2;
  std::string data;
  std::string out = "out/lora";
  std::string latents;
  uint64_t seed = 0;
  int64_t resolution = 0;
  bool buckets = true;

  int64_t rank = 16;
  double alpha = 16;
  std::string targets = "transformer";
  std::string precision = "fp32";
  bool gradient_checkpointing = false;
  std::string prediction = "auto";

  int64_t iterations = 1000;
  int64_t epochs = 0;
  int64_t batch = 1;
  double lr = 1e-4;
  int64_t warmup = 20;
  double last_lr_share = 0.1;
  double beta2 = 0.999;
  double weight_decay = 0.01;
  double max_grad_norm = 1;
  double min_snr_gamma = 5;
  double caption_dropout = 0.1;
  double noise_offset = 0;

  int64_t save_every = 100;
  int64_t sample_every = 250;
  std::string sample_prompts;
  int64_t sample_steps = 20;
  double sample_cfg_scale = 5;
};

/// The part of the list that is about learning; see below.
template <typename AnyConfig, typename Visitor>
void visit_learning_fields(AnyConfig& c, Visitor&& visit) {
  using Info = FieldInfo;
  visit(Info{"iterations", "training steps", "steps", 0, 1e9}, c.iterations);
  visit(Info{"epochs", "passes over the images instead of a number of steps; 0: iterations counts",
             "", 0, 1e6},
        c.epochs);
  visit(Info{"batch", "images per step", "", 1, 65536}, c.batch);
  visit(Info{"lr", "peak learning rate", "", 0, 1}, c.lr);
  visit(Info{"warmup", "steps over which the learning rate rises", "steps", 0, 1e6}, c.warmup);
  visit(Info{"last_lr_share", "share of the rate that is left at the end; 1: constant", "", 0, 1},
        c.last_lr_share);
  visit(Info{"beta2", "AdamW's beta2", "", 0, 0.99999}, c.beta2);
  visit(Info{"weight_decay", "weight decay of the LoRA", "", 0, 1}, c.weight_decay);
  visit(Info{"max_grad_norm", "gradients are scaled down to this norm; 0: never", "", 0, 1e6},
        c.max_grad_norm);
  visit(Info{"min_snr_gamma", "largest signal-to-noise ratio that counts in full; 0: plain loss",
             "", 0, 1e9},
        c.min_snr_gamma);
  visit(Info{"caption_dropout", "share of captions replaced by nothing, for guidance", "", 0, 1},
        c.caption_dropout);
  visit(Info{"noise_offset", "noise that whole channels share, for darker and lighter images", "",
             0, 10},
        c.noise_offset);
}

/// Calls visit(FieldInfo, member&) for every field, in the order in which people read them.
template <typename AnyConfig, typename Visitor>
void visit_fields(AnyConfig& c, Visitor&& visit) requires
    std::same_as<std::remove_const_t<AnyConfig>, LoraTrainConfig> {
  using Info = FieldInfo;
  visit(Info{"model", "checkpoint to fine-tune"}, c.model);
  visit(Info{"vae", "VAE file to use instead of the checkpoint's"}, c.vae);
  visit(Info{"text_encoder", "text encoder to use instead of the checkpoint's"}, c.text_encoder);
  visit(Info{"text_encoder_2", "the same for SDXL's second text encoder"}, c.text_encoder_2);
  visit(Info{"data", "folder of images with captions in NAME.txt"}, c.data);
  visit(Info{"out", "folder for states, logs, sheets and the LoRA"}, c.out);
  visit(Info{"latents", "file of the encoded images; OUT/latents.safetensors when not given"},
        c.latents);
  visit(Info{"seed", "seed of first weights, data order and noise"}, c.seed);
  visit(Info{"resolution", "side of a square image of the area to train at; 0: the model's", "px",
             0, 8192},
        c.resolution);
  visit(Info{"buckets", "images keep about their shape; false: all are cut to squares"}, c.buckets);

  visit(Info{"rank", "rank of the LoRA", "", 1, 4096}, c.rank);
  visit(Info{"alpha", "its change is multiplied by alpha / rank", "", 0, 1e6}, c.alpha);
  visit(Info{"targets",
             "layers that learn: attention, transformer (attention and feed-forward), or full "
             "(convolutions too)"},
        c.targets);
  visit(Info{"precision", "of the frozen networks: auto, fp32, bf16 or fp16"}, c.precision);
  visit(Info{"gradient_checkpointing",
             "compute blocks twice instead of keeping what is inside: less memory, slower"},
        c.gradient_checkpointing);
  visit(Info{"prediction", "auto, epsilon or v_prediction: for files that do not say"},
        c.prediction);

  visit_learning_fields(c, visit);

  visit(Info{"save_every", "steps between states", "steps", 1, 1e9}, c.save_every);
  visit(Info{"sample_every", "steps between sheets of samples; 0: none", "steps", 0, 1e9},
        c.sample_every);
  visit(Info{"sample_prompts",
             "text file, a prompt per line, for the sheets; captions of the data when not given"},
        c.sample_prompts);
  visit(Info{"sample_steps", "sampling steps of the sheets", "steps", 1, 1000}, c.sample_steps);
  visit(Info{"sample_cfg_scale", "guidance of the sheets", "", 1, 100}, c.sample_cfg_scale);
}

/// Throws InvalidRequest when something is missing or a word is unknown.
void validate(const LoraTrainConfig& config);

}  // namespace fourstep
