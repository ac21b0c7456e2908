#pragma once
// The distilled autoencoder for previews and quick decoding (TAESD, TAESDXL). Member names are the
// parameter names of diffusers' AutoencoderTiny. Its latents are the scaled ones the UNet works on:
// no factor.

#include <cstdint>
#include <string>
#include <vector>

#include "layers/layers.h"
#include "layers/module_list.h"

namespace fourstep {

struct TinyVaeConfig {
  int64_t width = 64;
  int64_t latent_channels = 4;
  std::vector<int64_t> encoder_blocks{1, 3, 3,
                                      3};  ///< per level, full resolution first; empty: no encoder
  std::vector<int64_t> decoder_blocks{3, 3, 3, 1};  ///< per level, latent resolution first
};

/// shapes: of all weights, diffusers names. Throws Error naming `what` and the first weight that
/// does not fit the layout. A decoder alone is taken, as TAESD is often published.
TinyVaeConfig tiny_vae_config_from_shapes(const NamedShapes& shapes, const std::string& what);

/// One entry of the list `layers`: by its kind a convolution, a residual block (three convolutions
/// with ReLU, added to the input, ReLU), a ReLU or a doubling of the size. x: [B,C,h,w].
struct TinyLayerImpl : nn::Module {
  enum class Kind { kConv, kBlock, kRelu, kDouble };

  /// A convolution whose weights are the entry's own.
  TinyLayerImpl(int64_t in_channels, int64_t out_channels, Conv2dOptions options);
  /// kBlock of the given width, kRelu or kDouble.
  TinyLayerImpl(Kind kind, int64_t width);
  Tensor forward(const Tensor& x);

  Kind kind;
  Conv2dOptions options;
  Tensor weight, bias;        ///< of kConv
  std::vector<Conv2d> convs;  ///< of kBlock: named conv.0, conv.2, conv.4
};
TORCH_MODULE(TinyLayer);

/// A chain of such entries, named layers.N.
struct TinyStackImpl : nn::Module {
  TinyStackImpl();
  Tensor forward(Tensor x);
  ModuleList<TinyLayer> layers;
};
TORCH_MODULE(TinyStack);

struct TinyVaeImpl : nn::Module {
  explicit TinyVaeImpl(const TinyVaeConfig& config);

  /// image: [B,3,H,W] in [-1,1], H, W multiples of 8 (for four levels).
  /// Returns the latent [B,latent_channels,H/8,W/8] in the dtype of `image`.
  /// Throws Error when there is no encoder.
  Tensor encode(const Tensor& image);

  /// latent: [B,latent_channels,h,w]. Returns [B,3,8h,8w], about -1..1, in the dtype of `latent`.
  Tensor decode(const Tensor& latent);

  TinyVaeConfig config;
  TinyStack encoder{nullptr};  ///< empty when the file has only a decoder
  TinyStack decoder{nullptr};
};
TORCH_MODULE(TinyVae);

}  // namespace fourstep
