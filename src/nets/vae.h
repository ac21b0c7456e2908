#pragma once
// The autoencoder between pictures and latents (AutoencoderKL). Member names are the parameter
// names of diffusers checkpoints. Latents here are the network's own: the factor 0.13025 (SDXL) or
// 0.18215 (SD 1.5) and the choice between mean and sample belong to the caller.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nets/blocks.h"
#include "nets/tiles.h"

namespace fourstep {

struct VaeConfig {
  std::vector<int64_t> channels{128, 256, 512, 512};  ///< per level, full resolution first
  int64_t resnets = 2;  ///< per level of the encoder; the decoder has one more
  int64_t latent_channels = 4;
  int64_t image_channels = 3;
  bool has_encoder = true;
  bool has_quant_conv = true;       ///< last step of the encoder; absent: the identity
  bool has_post_quant_conv = true;  ///< first step of decoding; absent: the identity
};

/// shapes: of all VAE weights, diffusers names; the encoder and the two 1x1 convolutions may be
/// absent. Throws Error naming `what` and the first weight that does not fit the layout.
VaeConfig vae_config_from_shapes(const NamedShapes& shapes, const std::string& what);

/// Single-head attention over all pixels of a map, added to the map. x: [B,C,h,w]. Returns the
/// same.
struct VaeAttentionImpl : nn::Module {
  explicit VaeAttentionImpl(int64_t channels);
  Tensor forward(const Tensor& x);
  GroupNorm group_norm{nullptr};
  Linear to_q{nullptr}, to_k{nullptr}, to_v{nullptr};
  ModuleList<Linear> to_out;  ///< one entry
};
TORCH_MODULE(VaeAttention);

/// Resnet, attention, resnet.
struct VaeMidBlockImpl : nn::Module {
  explicit VaeMidBlockImpl(int64_t channels);
  Tensor forward(const Tensor& x);
  ModuleList<ResBlock> resnets;
  ModuleList<VaeAttention> attentions;
};
TORCH_MODULE(VaeMidBlock);

/// One level: resnets, then a change of size. The lists without use stay empty.
struct VaeBlockImpl : nn::Module {
  VaeBlockImpl(int64_t in_channels, int64_t out_channels, int64_t num_resnets);
  Tensor forward(Tensor x);
  ModuleList<ResBlock> resnets;
  ModuleList<Downsampler> downsamplers;  ///< encoder, all levels but the last
  ModuleList<Upsampler> upsamplers;      ///< decoder, all levels but the last
};
TORCH_MODULE(VaeBlock);

/// Image [B,image_channels,H,W] -> [B,2*latent_channels,H/8,W/8] (for four levels).
struct VaeEncoderImpl : nn::Module {
  explicit VaeEncoderImpl(const VaeConfig& config);
  Tensor shrink(const Tensor& image);   ///< down to the size of the latent; convolutions only
  Tensor finish(const Tensor& shrunk);  ///< the part with attention
  Conv2d conv_in{nullptr}, conv_out{nullptr};
  ModuleList<VaeBlock> down_blocks;
  VaeMidBlock mid_block{nullptr};
  GroupNorm conv_norm_out{nullptr};
};
TORCH_MODULE(VaeEncoder);

/// Latent [B,latent_channels,h,w] -> [B,image_channels,8h,8w] (for four levels).
struct VaeDecoderImpl : nn::Module {
  explicit VaeDecoderImpl(const VaeConfig& config);
  Tensor start(const Tensor& latent);     ///< the part with attention, at the size of the latent
  Tensor enlarge(const Tensor& started);  ///< up to the image; convolutions only
  Conv2d conv_in{nullptr}, conv_out{nullptr};
  VaeMidBlock mid_block{nullptr};
  ModuleList<VaeBlock> up_blocks;
  GroupNorm conv_norm_out{nullptr};
};
TORCH_MODULE(VaeDecoder);

/// The diagonal Gaussian that an image is encoded to.
struct LatentMoments {
  Tensor mean;    ///< [B,latent_channels,h,w], unscaled
  Tensor logvar;  ///< the same shape, clamped to [-30, 20]
};

struct VaeImpl : nn::Module {
  explicit VaeImpl(const VaeConfig& config);

  /// Pixels per latent cell along one side: 8 for four levels.
  int64_t scale() const { return int64_t{1} << (config.channels.size() - 1); }

  /// image: [B,image_channels,H,W] in [-1,1]; H, W multiples of scale(), else Error; so it is
  /// without an encoder. tiling: as in decode().
  /// Computed in the dtype of the weights; returned in the dtype of `image`.
  LatentMoments encode(const Tensor& image, const std::optional<Tiling>& tiling = {});

  /// latent: [B,latent_channels,h,w], unscaled. Returns [B,image_channels,scale*h,scale*w], about
  /// -1..1 and not clamped, in the dtype of `latent`; computed in the dtype of the weights. The
  /// original SDXL weights overflow in fp16 (activations beyond 65504): bf16 or fp32 is the
  /// caller's choice to make.
  /// tiling: in latent cells; bounds the memory. Only the convolutions above the latent's size are
  /// tiled, so the attention still sees everything; what differs is the statistics of the group
  /// norms.
  Tensor decode(const Tensor& latent, const std::optional<Tiling>& tiling = {});

  VaeConfig config;
  VaeEncoder encoder{nullptr};  ///< empty for a decoder alone
  VaeDecoder decoder{nullptr};
  Conv2d quant_conv{nullptr}, post_quant_conv{nullptr};  ///< empty where the file has none
};
TORCH_MODULE(Vae);

}  // namespace fourstep
