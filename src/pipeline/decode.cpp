#include "pipeline/decode.h"

#include <algorithm>

#include "base/error.h"

namespace fourstep {

namespace {

constexpr int64_t kSmallestTileCells = 16;

Tensor decode_with(const ImageCodec& codec, const Tensor& latent, int64_t tile_px) {
  const Tensor x = latent.to(torch::kFloat32);
  std::optional<Tiling> tiling;
  if (tile_px > 0) {
    const int64_t tile = std::max(tile_px / 8, kSmallestTileCells);
    tiling = Tiling{tile, tile / 4};
  }
  const Tensor image = codec.tiny_vae ? TinyVae(codec.tiny_vae)->decode(x)
                                      : Vae(codec.vae)->decode(x / codec.scaling_factor, tiling);
  return image.to(torch::kCPU, torch::kFloat32);
}

bool is_finite(const Tensor& image) { return at::isfinite(image).all().item<bool>(); }

}  // namespace

Tensor decode_latent(Models& models, const Tensor& latent, int64_t tile_px, const Events& events) {
  if (!is_finite(latent)) {
    throw Error(
        "{}: the latent has NaN or infinite values: an extreme weight of a LoRA or in the prompt, "
        "a "
        "broken weight of the file, or an overflow in {} (try --precision fp32)",
        models.checkpoint().path.string(),
        models.placement().dtype == torch::kHalf ? "fp16" : "the network");
  }
  const ImageCodec& codec = models.image_codec(events);
  events.report({Stage::kDecode, 0, 1});
  Tensor image = decode_with(codec, latent, tile_px);
  if (!is_finite(image) && models.placement().vae_dtype != torch::kFloat32) {
    events.notice("the VAE overflowed in half precision: decoding again in fp32");
    image = decode_with(models.image_codec_in_fp32(events), latent, tile_px);
  }
  if (!is_finite(image)) {
    throw Error("{}: the decoded image has NaN or infinite values even in fp32; the VAE is broken",
                models.vae_path().string());
  }
  events.report({Stage::kDecode, 1, 1});
  return image;
}

}  // namespace fourstep
