#pragma once
// The denoising network of the SDXL family. Member names are the parameter names of diffusers
// checkpoints (UNet2DConditionModel); the same numbers come out, whichever widths and depths the
// config names.

#include "nets/blocks.h"
#include "nets/transformer.h"
#include "nets/unet_config.h"

namespace fourstep {

/// B is the same in all; device that of the weights; dtype of each free.
struct UNetInput {
  Tensor x;           ///< [B,in_channels,h,w], the noisy latent as the network expects it (scaled)
  Tensor timestep;    ///< [B], 0..999, may lie between integers
  Tensor context;     ///< [B,L,cross_width], text
  Tensor pooled{};    ///< [B,P], text as a whole; undefined without added condition
  Tensor time_ids{};  ///< [B,N], sizes and crops in pixels (SDXL: 6), each embedded to
                      ///< (added_width - P) / N numbers; undefined without added condition
  const UNetExtras* extras = nullptr;  ///< not owned; null: none
};

/// The resnets of one level, each with a transformer behind it where the config says so.
struct UNetBlockImpl : nn::Module {
  /// name: "down.0", "up.2", see transformer_names(). in_channels: of each resnet. depths:
  /// transformer blocks after each resnet.
  UNetBlockImpl(const std::string& name, const std::vector<int64_t>& in_channels,
                const UNetLevel& level, const std::vector<int64_t>& depths,
                const UNetConfig& config);

  /// Resnet i and its transformer. x: [B,in_channels[i],h,w]. Returns [B,level.channels,h,w].
  Tensor run_layer(size_t i, const Tensor& x, const BlockCall& call);

  ModuleList<ResBlock> resnets;
  ModuleList<SpatialTransformer> attentions;  ///< empty, or one per resnet from the first on
  ModuleList<Downsampler> downsamplers;       ///< one, or none on the last level and in the up path
  ModuleList<Upsampler> upsamplers;  ///< one, or none in the down path and on the last block
};
TORCH_MODULE(UNetBlock);

/// Resnet, transformer, resnet; or one resnet alone.
struct UNetMidBlockImpl : nn::Module {
  explicit UNetMidBlockImpl(const UNetConfig& config);
  Tensor forward(Tensor x, const BlockCall& call);  ///< keeps the shape
  ModuleList<ResBlock> resnets;
  ModuleList<SpatialTransformer> attentions;
};
TORCH_MODULE(UNetMidBlock);

struct UNetImpl : nn::Module {
  explicit UNetImpl(const UNetConfig& config);

  /// One evaluation, computed in the dtype of the weights (timestep and size embeddings in fp32
  /// first).
  /// Returns [B,out_channels,h,w] in the dtype of input.x: eps or v, as the model was trained.
  /// Throws Error when a shape does not fit the config.
  Tensor forward(const UNetInput& input);

  /// The down path and the middle alone: what DMD2's discriminator looks at.
  /// Returns [B,channels of the last level,h',w'] in the dtype of the weights.
  Tensor bottleneck(const UNetInput& input);

  UNetConfig config;
  Conv2d conv_in{nullptr};
  EmbeddingMlp time_embedding{nullptr};
  EmbeddingMlp add_embedding{nullptr};  ///< empty without added condition
  ModuleList<UNetBlock> down_blocks, up_blocks;
  UNetMidBlock mid_block{nullptr};  ///< may be empty
  GroupNorm conv_norm_out{nullptr};
  Conv2d conv_out{nullptr};

 private:
  Tensor embed_condition(const UNetInput& input);
  BlockCall make_call(const UNetInput& input);
  Tensor run_down_and_middle(const UNetInput& input, const BlockCall& call,
                             std::vector<Tensor>& skips);
};
TORCH_MODULE(UNet);

}  // namespace fourstep
