#pragma once
// Training of the small autoencoder: reconstruction, edges on three scales, and a weak pull towards
// a normal distribution.

#include <functional>
#include <optional>

#include "base/events.h"
#include "emoji/train_config.h"
#include "nets/vae.h"
#include "train/loop.h"

namespace fourstep {

struct VaeLosses {
  Tensor total;
  double pixels = 0;         ///< mean absolute error
  double edges = 0;          ///< mean absolute error of neighbour differences, three scales
  std::optional<double> kl;  ///< mean per latent number; not of the decoder alone
};

/// images: [B,3,H,W] in [-1,1]; noise: [B,latent_channels,h,w], for the sample of the posterior. KL
/// as in Kingma and Welling 2014 (1312.6114), appendix B. The edge term stands in for a perceptual
/// one: an absolute error alone blurs outlines.
VaeLosses vae_losses(Vae& vae, const Tensor& images, const Tensor& noise,
                     const TrainConfig& config);

/// The same for the decoder alone, in config.precision: the encoder gives the latents and gets no
/// gradient.
VaeLosses decoder_losses(Vae& vae, const Tensor& images, const Tensor& noise,
                         const TrainConfig& config);

/// Images of a training step, [B,3,crop,crop] in [-1,1].
using ImageBatch = std::function<Tensor(int64_t iteration)>;

/// The network that the config describes, with first weights.
Vae make_vae(const TrainConfig& config);

LoopOptions vae_loop_options(const TrainConfig& config, bool is_resumed);

/// Trains `vae` in place; its weights at the end are those of the state.
void train_vae(Vae& vae, const TrainConfig& config, const ImageBatch& batch, bool is_resumed,
               const Events& events);

LoopOptions decoder_loop_options(const TrainConfig& config, bool is_resumed);

/// Trains the decoder of a finished autoencoder further, in place. Latents keep their meaning, so a
/// diffusion model and its LoRAs go on working with it.
void train_decoder(Vae& vae, const TrainConfig& config, const ImageBatch& batch, bool is_resumed,
                   const Events& events);

/// Changes quant_conv and post_quant_conv so that the latents of `images` have mean 0 per channel
/// and `scaling_factor` times them standard deviation 1: then the number of the model family (SDXL:
/// 0.13025) fits this autoencoder too. The reconstruction stays. images: [N,3,H,W].
void normalize_latents(Vae& vae, const Tensor& images, double scaling_factor);

}  // namespace fourstep
