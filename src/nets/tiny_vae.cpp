#include "nets/tiny_vae.h"

#include "base/error.h"
#include "nets/shape_reader.h"

namespace fourstep {

namespace {

constexpr Conv2dOptions kHalving{.stride = 2, .with_bias = false};
constexpr Conv2dOptions kAfterDoubling{.with_bias = false};

TinyStack make_encoder(const TinyVaeConfig& config) {
  TinyStack stack;
  auto& layers = *stack->layers;
  layers.push_back(TinyLayer(3, config.width, Conv2dOptions{}));
  for (size_t level = 0; level < config.encoder_blocks.size(); ++level) {
    if (level > 0) layers.push_back(TinyLayer(config.width, config.width, kHalving));
    for (int64_t i = 0; i < config.encoder_blocks[level]; ++i) {
      layers.push_back(TinyLayer(TinyLayerImpl::Kind::kBlock, config.width));
    }
  }
  layers.push_back(TinyLayer(config.width, config.latent_channels, Conv2dOptions{}));
  return stack;
}

TinyStack make_decoder(const TinyVaeConfig& config) {
  TinyStack stack;
  auto& layers = *stack->layers;
  layers.push_back(TinyLayer(config.latent_channels, config.width, Conv2dOptions{}));
  layers.push_back(TinyLayer(TinyLayerImpl::Kind::kRelu, config.width));
  for (size_t level = 0; level < config.decoder_blocks.size(); ++level) {
    if (level > 0) {
      layers.push_back(TinyLayer(TinyLayerImpl::Kind::kDouble, config.width));
      layers.push_back(TinyLayer(config.width, config.width, kAfterDoubling));
    }
    for (int64_t i = 0; i < config.decoder_blocks[level]; ++i) {
      layers.push_back(TinyLayer(TinyLayerImpl::Kind::kBlock, config.width));
    }
  }
  layers.push_back(TinyLayer(config.width, 3, Conv2dOptions{}));
  return stack;
}

/// Lengths of the runs of residual blocks in one stack, between the entries of other kinds.
std::vector<int64_t> read_blocks(const ShapeReader& reader, const std::string& stack,
                                 int64_t first) {
  std::vector<int64_t> runs{0};
  const auto layer = [&](int64_t i) { return fmt::format("{}.layers.{}", stack, i); };
  for (int64_t i = first;; ++i) {
    const bool is_block = reader.has(layer(i) + ".conv.0.weight");
    const bool is_last = reader.has(layer(i) + ".bias");
    const bool is_conv = reader.has(layer(i) + ".weight");
    if (is_block) {
      ++runs.back();
    } else if (is_conv && !is_last) {
      runs.push_back(0);
    } else if (is_last || !reader.has(layer(i + 1) + ".weight")) {
      return runs;
    }
  }
}

}  // namespace

TinyVaeConfig tiny_vae_config_from_shapes(const NamedShapes& shapes, const std::string& what) {
  const ShapeReader reader(shapes, what);
  TinyVaeConfig config;
  config.width = reader.dim("decoder.layers.0.weight", 0, 4);
  config.latent_channels = reader.dim("decoder.layers.0.weight", 1, 4);
  const auto encoder = shapes.lower_bound("encoder.");
  const bool has_encoder = encoder != shapes.end() && encoder->first.starts_with("encoder.");
  config.encoder_blocks.clear();
  if (has_encoder) config.encoder_blocks = read_blocks(reader, "encoder", 1);
  config.decoder_blocks = read_blocks(reader, "decoder", 2);
  reader.check_layout(*TinyVae(config));
  return config;
}

TinyLayerImpl::TinyLayerImpl(int64_t in_channels, int64_t out_channels, Conv2dOptions options)
    : kind(Kind::kConv), options(options) {
  const Shape shape{out_channels, in_channels, options.kernel, options.kernel};
  weight = register_parameter("weight", placeholder(shape), /*requires_grad=*/false);
  if (options.with_bias) {
    bias = register_parameter("bias", placeholder({out_channels}), /*requires_grad=*/false);
  }
}

TinyLayerImpl::TinyLayerImpl(Kind kind, int64_t width) : kind(kind) {
  if (kind != Kind::kBlock) return;
  const auto conv = register_module("conv", std::make_shared<nn::Module>());
  for (const char* name : {"0", "2", "4"}) {
    convs.push_back(conv->register_module(name, Conv2d(width, width)));
  }
}

Tensor TinyLayerImpl::forward(const Tensor& x) {
  switch (kind) {
    case Kind::kConv:
      return at::conv2d(x, weight, bias, options.stride, options.padding);
    case Kind::kRelu:
      return at::relu(x);
    case Kind::kDouble:
      return at::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)});
    case Kind::kBlock:
      break;
  }
  Tensor h = convs[0](x).relu_();
  h = convs[1](h).relu_();
  return convs[2](h).add_(x).relu_();
}

TinyStackImpl::TinyStackImpl() {
  layers = register_module("layers", make_module_list<TinyLayer>());
}

Tensor TinyStackImpl::forward(Tensor x) {
  const auto dtype = (*layers)[0]->weight.scalar_type();
  x = x.to(dtype).contiguous(at::MemoryFormat::ChannelsLast);
  for (auto& layer : *layers) x = layer(x);
  return x;
}

TinyVaeImpl::TinyVaeImpl(const TinyVaeConfig& config) : config(config) {
  if (!config.encoder_blocks.empty()) encoder = register_module("encoder", make_encoder(config));
  decoder = register_module("decoder", make_decoder(config));
}

// The network's own pictures are in [0,1].
Tensor TinyVaeImpl::encode(const Tensor& image) {
  check_shape(image, {-1, 3, -1, -1}, "TinyVae::encode: image");
  if (!encoder) {
    throw Error(
        "TinyVae::encode: the tiny VAE has no encoder (weights \"encoder.layers.*\" are missing); "
        "take a "
        "file with both parts");
  }
  return encoder((image + 1) / 2).to(image.scalar_type());
}

// Latents are squashed to -3..3 first, as in training.
Tensor TinyVaeImpl::decode(const Tensor& latent) {
  check_shape(latent, {-1, config.latent_channels, -1, -1}, "TinyVae::decode: latent");
  return decoder(at::tanh(latent / 3) * 3).to(latent.scalar_type()) * 2 - 1;
}

}  // namespace fourstep
