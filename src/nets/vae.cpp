#include "nets/vae.h"

#include "base/error.h"
#include "nets/shape_reader.h"
#include "nets/transformer.h"

namespace fourstep {

namespace {

constexpr ResBlockOptions kVaeResnet{.time_channels = 0, .eps = 1e-6};
constexpr double kVaeEps = 1e-6;
constexpr Conv2dOptions kPointwise{.kernel = 1, .padding = 0};

Tensor as_input(const Tensor& x, const Conv2d& first) {
  return x.to(first->weight.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace

VaeConfig vae_config_from_shapes(const NamedShapes& shapes, const std::string& what) {
  const ShapeReader reader(shapes, what);
  VaeConfig config;
  config.has_encoder = reader.has("encoder.conv_in.weight");
  // Beside an encoder both are there or none.
  const bool has_quant = reader.has("quant_conv.weight");
  const bool has_post_quant = reader.has("post_quant_conv.weight");
  config.has_quant_conv = has_quant || (config.has_encoder && has_post_quant);
  config.has_post_quant_conv = has_post_quant || (config.has_encoder && has_quant);
  config.latent_channels = reader.dim("decoder.conv_in.weight", 1, 4);
  config.image_channels = reader.dim("decoder.conv_out.weight", 0, 4);
  config.resnets = reader.count("decoder.up_blocks.0.resnets.", ".conv1.weight") - 1;
  const int64_t num_levels = reader.count("decoder.up_blocks.", ".resnets.0.conv1.weight");
  config.channels.clear();
  for (int64_t i = std::max<int64_t>(num_levels, 1) - 1; i >= 0; --i) {
    config.channels.push_back(
        reader.norm_width(fmt::format("decoder.up_blocks.{}.resnets.0.conv1.weight", i), 0, 4));
  }
  reader.check_layout(*Vae(config));
  return config;
}

VaeAttentionImpl::VaeAttentionImpl(int64_t channels) {
  group_norm = register_module("group_norm", GroupNorm(kNormGroups, channels, kVaeEps));
  to_q = register_module("to_q", Linear(channels, channels));
  to_k = register_module("to_k", Linear(channels, channels));
  to_v = register_module("to_v", Linear(channels, channels));
  to_out = register_module("to_out", make_module_list<Linear>());
  to_out->push_back(Linear(channels, channels));
}

Tensor VaeAttentionImpl::forward(const Tensor& x) {
  const Tensor tokens = tokens_from_map(group_norm(x));
  const Tensor out = attention(to_q(tokens), to_k(tokens), to_v(tokens), /*num_heads=*/1);
  return map_from_tokens(to_out->back()(out), x.size(2), x.size(3)).add_(x);
}

VaeMidBlockImpl::VaeMidBlockImpl(int64_t channels) {
  attentions = register_module("attentions", make_module_list<VaeAttention>());
  resnets = register_module("resnets", make_module_list<ResBlock>());
  attentions->push_back(VaeAttention(channels));
  for (int i = 0; i < 2; ++i) resnets->push_back(ResBlock(channels, channels, kVaeResnet));
}

Tensor VaeMidBlockImpl::forward(const Tensor& x) {
  return (*resnets)[1]->forward((*attentions)[0]->forward((*resnets)[0]->forward(x)));
}

VaeBlockImpl::VaeBlockImpl(int64_t in_channels, int64_t out_channels, int64_t num_resnets) {
  resnets = register_module("resnets", make_module_list<ResBlock>());
  downsamplers = register_module("downsamplers", make_module_list<Downsampler>());
  upsamplers = register_module("upsamplers", make_module_list<Upsampler>());
  for (int64_t i = 0; i < num_resnets; ++i) {
    resnets->push_back(ResBlock(i == 0 ? in_channels : out_channels, out_channels, kVaeResnet));
  }
}

Tensor VaeBlockImpl::forward(Tensor x) {
  for (auto& resnet : *resnets) x = resnet(x);
  for (auto& downsampler : *downsamplers) x = downsampler(x);
  for (auto& upsampler : *upsamplers) x = upsampler(x, 2 * x.size(2), 2 * x.size(3));
  return x;
}

VaeEncoderImpl::VaeEncoderImpl(const VaeConfig& config) {
  const auto& channels = config.channels;
  conv_in = register_module("conv_in", Conv2d(config.image_channels, channels.front()));
  down_blocks = register_module("down_blocks", make_module_list<VaeBlock>());
  for (size_t i = 0; i < channels.size(); ++i) {
    down_blocks->push_back(VaeBlock(channels[i == 0 ? 0 : i - 1], channels[i], config.resnets));
    if (i + 1 == channels.size()) continue;
    down_blocks->back()->downsamplers->push_back(
        Downsampler(channels[i], DownsamplePadding::kRightBottom));
  }
  mid_block = register_module("mid_block", VaeMidBlock(channels.back()));
  conv_norm_out =
      register_module("conv_norm_out", GroupNorm(kNormGroups, channels.back(), kVaeEps));
  conv_out = register_module("conv_out", Conv2d(channels.back(), 2 * config.latent_channels));
}

Tensor VaeEncoderImpl::shrink(const Tensor& image) {
  Tensor x = conv_in(as_input(image, conv_in));
  for (auto& block : *down_blocks) x = block(x);
  return x;
}

Tensor VaeEncoderImpl::finish(const Tensor& shrunk) {
  return conv_out(silu_of_temporary(conv_norm_out(mid_block(as_input(shrunk, conv_out)))));
}

VaeDecoderImpl::VaeDecoderImpl(const VaeConfig& config) {
  const auto& channels = config.channels;
  conv_in = register_module("conv_in", Conv2d(config.latent_channels, channels.back()));
  mid_block = register_module("mid_block", VaeMidBlock(channels.back()));
  up_blocks = register_module("up_blocks", make_module_list<VaeBlock>());
  int64_t previous = channels.back();
  for (size_t i = channels.size(); i-- > 0;) {
    up_blocks->push_back(VaeBlock(previous, channels[i], config.resnets + 1));
    if (i > 0) up_blocks->back()->upsamplers->push_back(Upsampler(channels[i]));
    previous = channels[i];
  }
  conv_norm_out =
      register_module("conv_norm_out", GroupNorm(kNormGroups, channels.front(), kVaeEps));
  conv_out = register_module("conv_out", Conv2d(channels.front(), config.image_channels));
}

Tensor VaeDecoderImpl::start(const Tensor& latent) {
  return mid_block(conv_in(as_input(latent, conv_in)));
}

Tensor VaeDecoderImpl::enlarge(const Tensor& started) {
  Tensor x = as_input(started, conv_out);
  for (auto& block : *up_blocks) x = block(x);
  return conv_out(silu_of_temporary(conv_norm_out(x)));
}

VaeImpl::VaeImpl(const VaeConfig& config) : config(config) {
  const int64_t moments = 2 * config.latent_channels;
  if (config.has_encoder) encoder = register_module("encoder", VaeEncoder(config));
  decoder = register_module("decoder", VaeDecoder(config));
  if (config.has_quant_conv)
    quant_conv = register_module("quant_conv", Conv2d(moments, moments, kPointwise));
  if (!config.has_post_quant_conv) return;
  post_quant_conv = register_module(
      "post_quant_conv", Conv2d(config.latent_channels, config.latent_channels, kPointwise));
}

LatentMoments VaeImpl::encode(const Tensor& image, const std::optional<Tiling>& tiling) {
  check_shape(image, {-1, config.image_channels, -1, -1}, "Vae::encode: image");
  if (!encoder) throw Error(std::string("Vae::encode: this VAE is a decoder alone"));
  if (image.size(2) % scale() != 0 || image.size(3) % scale() != 0) {
    throw Error("Vae::encode: image of {}x{} pixels, expected multiples of {}", image.size(3),
                image.size(2), scale());
  }
  const auto shrink = [this](const Tensor& tile) { return encoder->shrink(tile); };
  const auto shrink_tiles = [&] {
    const Tiling in_pixels{tiling->tile * scale(), tiling->overlap * scale()};
    return map_tiles(image, in_pixels, {.denominator = scale()}, shrink);
  };
  const Tensor shrunk = tiling ? shrink_tiles() : shrink(image);
  const Tensor finished = encoder->finish(shrunk);
  const auto moments =
      (quant_conv ? quant_conv(finished) : finished).to(image.scalar_type()).chunk(2, 1);
  return {moments[0], moments[1].clamp(-30, 20)};
}

Tensor VaeImpl::decode(const Tensor& latent, const std::optional<Tiling>& tiling) {
  check_shape(latent, {-1, config.latent_channels, -1, -1}, "Vae::decode: latent");
  const Tensor started =
      decoder->start(post_quant_conv ? post_quant_conv(as_input(latent, post_quant_conv)) : latent);
  const auto enlarge = [&](const Tensor& tile) {
    return decoder->enlarge(tile).to(latent.scalar_type());
  };
  return tiling ? map_tiles(started, *tiling, {.numerator = scale()}, enlarge) : enlarge(started);
}

}  // namespace fourstep
