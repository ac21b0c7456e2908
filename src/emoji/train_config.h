#pragma once
// All settings of a training run in one struct: the file, the command line and the recipe that is
// kept with the result derive from its list of fields.

#include <cstdint>
#include <string>
#include <vector>

#include "base/fields.h"
#include "emoji/scene.h"

namespace fourstep {

struct TrainConfig {
  std::string out = "out/emoji";
  uint64_t seed = 0;
  std::string emoji_groups = kDefaultEmojiGroups;
  std::string emoji_pack;
  std::string init;
  SceneConfig scenes;

  std::vector<double> vae_channels{64, 64, 128, 128};
  int64_t vae_resnets = 1;
  int64_t vae_iterations = 1200;
  int64_t vae_batch = 4;
  int64_t vae_crop = 128;
  double vae_lr = 3e-4;
  double vae_kl = 1e-3;
  double vae_edges = 0.5;
  int64_t decoder_iterations = 0;

  int64_t latents = 12000;

  std::vector<double> unet_channels{64, 128, 128};
  std::vector<double> unet_depths{0, 1, 1};
  std::vector<double> text_widths{64, 128};
  int64_t text_layers = 3;
  int64_t iterations = 12000;
  int64_t batch = 64;
  double lr = 5e-4;
  int64_t warmup = 300;
  double weight_decay = 0.01;
  double max_grad_norm = 1;
  double ema = 0.999;
  double cfg_dropout = 0.1;
  double min_snr_gamma = 5;
  double high_noise_power = 0.5;
  std::string precision = "fp32";

  int64_t save_every = 200;
  int64_t sample_every = 1000;
};

/// The fields of the autoencoder's stage.
template <typename AnyConfig, typename Visitor>
void visit_autoencoder_fields(AnyConfig& c, Visitor&& visit) {
  using Info = FieldInfo;
  visit(Info{"vae_channels", "widths of the autoencoder's levels, multiples of 32"},
        c.vae_channels);
  visit(Info{"vae_resnets", "residual blocks per level of the encoder", "", 1, 8}, c.vae_resnets);
  visit(Info{"vae_iterations", "training steps of the autoencoder", "steps", 0, 1e9},
        c.vae_iterations);
  visit(Info{"vae_batch", "crops per step of the autoencoder", "", 1, 65536}, c.vae_batch);
  visit(Info{"vae_crop", "side of the crops that the autoencoder trains on", "px", 8, 4096},
        c.vae_crop);
  visit(Info{"vae_lr", "peak learning rate of the autoencoder", "", 0, 1}, c.vae_lr);
  visit(Info{"vae_kl", "weight of the KL term, mean per latent number", "", 0, 1}, c.vae_kl);
  visit(Info{"vae_edges", "weight of the loss on differences of neighbouring pixels", "", 0, 100},
        c.vae_edges);
  visit(Info{"decoder_iterations",
             "further training steps of the decoder alone, after --init; latents stay as they are",
             "steps", 0, 1e9},
        c.decoder_iterations);
}

template <typename AnyConfig, typename Visitor>
void visit_fields(AnyConfig& c, Visitor&& visit) requires
    std::is_same_v<std::remove_const_t<AnyConfig>, TrainConfig> {
  using Info = FieldInfo;
  visit(Info{"out", "folder for states, logs, sheets and the results"}, c.out);
  visit(Info{"seed", "seed of weights, data order and noise"}, c.seed);
  visit(Info{"emoji_groups",
             "what to draw: groups, subgroups or names of emoji-test.txt, separated by ';'"},
        c.emoji_groups);
  visit(Info{"emoji_pack",
             "file with names and pictures of the emoji (train --export-emoji); Debian's font and "
             "lists when not given"},
        c.emoji_pack);
  visit(
      Info{"init",
           "model of an earlier run to begin with: its autoencoder is kept, its text encoders and "
           "UNet are trained further"},
      c.init);
  visit_fields(c.scenes, visit);
  visit_autoencoder_fields(c, visit);

  visit(Info{"latents", "pictures that are drawn and encoded for the diffusion model", "", 1, 1e9},
        c.latents);
  visit(Info{"unet_channels", "widths of the UNet's levels, multiples of 32"}, c.unet_channels);
  visit(Info{"unet_depths", "transformer blocks after each residual block, by level"},
        c.unet_depths);
  visit(Info{"text_widths", "widths of the two text encoders, multiples of 64"}, c.text_widths);
  visit(Info{"text_layers", "layers of each text encoder; the last but one is used", "", 2, 64},
        c.text_layers);
  visit(Info{"iterations", "training steps of the diffusion model", "steps", 0, 1e9}, c.iterations);
  visit(Info{"batch", "pictures per step of the diffusion model", "", 1, 65536}, c.batch);
  visit(Info{"lr", "peak learning rate of the diffusion model", "", 0, 1}, c.lr);
  visit(Info{"warmup", "steps over which the learning rate rises", "steps", 0, 1e6}, c.warmup);
  visit(Info{"weight_decay", "weight decay of the diffusion model", "", 0, 1}, c.weight_decay);
  visit(Info{"max_grad_norm", "gradients are scaled down to this norm; 0: never", "", 0, 1e6},
        c.max_grad_norm);
  visit(Info{"ema", "share of the weight average that stays at each step", "", 0, 1}, c.ema);
  visit(Info{"cfg_dropout", "share of captions replaced by nothing, for guidance", "", 0, 1},
        c.cfg_dropout);
  visit(Info{"min_snr_gamma",
             "largest signal-to-noise ratio that counts in full; 0: plain eps loss", "", 0, 1e9},
        c.min_snr_gamma);
  visit(
      Info{"high_noise_power",
           "below a signal-to-noise ratio of 1 its loss weighs 1/ratio^power; 0: plain", "", 0, 1},
      c.high_noise_power);
  visit(Info{"precision", "fp32, or bf16 for products and convolutions"}, c.precision);
  visit(Info{"save_every", "steps between states", "steps", 1, 1e9}, c.save_every);
  visit(Info{"sample_every", "steps between sheets of samples; 0: none", "steps", 0, 1e9},
        c.sample_every);
}

}  // namespace fourstep
