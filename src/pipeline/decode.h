#pragma once
// From the UNet's latent to a picture, whatever the autoencoder, in bounded memory, and never black.

#include "base/events.h"
#include "pipeline/models.h"

namespace fourstep {

/// latent: [B,4,h,w], scaled. tile_px: side of a tile in pixels, 0 for the whole at once (a tiny VAE always:
/// it needs little memory).
/// A result that is not finite (a VAE that overflows half precision) is decoded again in fp32, with a notice;
/// should that fail too, Error. Returns [B,3,8h,8w] fp32 on the CPU, about -1..1.
Tensor decode_latent(Models& models, const Tensor& latent, int64_t tile_px, const Events& events);

}  // namespace fourstep
