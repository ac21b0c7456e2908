#include "text/clip.h"

#include <memory>

#include "base/error.h"

namespace fourstep {
namespace {

constexpr int64_t kHeadWidth = 64;  // of every published CLIP text encoder

const Shape& shape_at(const NamedShapes& shapes, const std::string& name, size_t dims,
                      const std::string& what) {
  const auto found = shapes.find(name);
  if (found == shapes.end())
    throw Error("{}: {} is missing; is this a CLIP text encoder?", what, name);
  if (found->second.size() != dims) {
    throw Error("{}: {}: shape {}, expected {} dimensions", what, name, to_string(found->second),
                dims);
  }
  return found->second;
}

int64_t count_layers(const NamedShapes& shapes) {
  int64_t count = 0;
  while (shapes.count(fmt::format("text_model.encoder.layers.{}.mlp.fc1.weight", count))) ++count;
  return count;
}

/// A child module that only carries a part of its children's names.
std::shared_ptr<nn::Module> name_part(nn::Module& parent, const std::string& name) {
  return parent.register_module(name, std::make_shared<nn::Module>(name));
}

}  // namespace

ClipConfig clip_config_from_shapes(const NamedShapes& shapes, int64_t heads_hint,
                                   const std::string& what) {
  const auto at = [&](const std::string& name) -> const Shape& {
    return shape_at(shapes, "text_model." + name, 2, what);
  };
  ClipConfig config;
  config.vocab_size = at("embeddings.token_embedding.weight")[0];
  config.width = at("embeddings.token_embedding.weight")[1];
  config.positions = at("embeddings.position_embedding.weight")[0];
  config.mlp_width = at("encoder.layers.0.mlp.fc1.weight")[0];
  config.layers = count_layers(shapes);
  if (shapes.count("text_projection.weight")) {
    config.projection = shape_at(shapes, "text_projection.weight", 2, what)[0];
    config.activation = ClipActivation::kGelu;
  }
  config.eos_id = config.vocab_size - 1;
  config.heads = heads_hint > 0 ? heads_hint : config.width / kHeadWidth;
  if (config.heads == 0 || config.width % config.heads != 0 ||
      (heads_hint <= 0 && config.width % kHeadWidth != 0)) {
    throw Error(
        "{}: a width of {} does not divide into {}; a config.json must give the number of heads",
        what, config.width,
        heads_hint > 0 ? fmt::format("{} heads", heads_hint) : "heads of width 64");
  }
  return config;
}

ClipAttentionImpl::ClipAttentionImpl(int64_t width, int64_t heads) : heads(heads) {
  q_proj = register_module("q_proj", Linear(width, width));
  k_proj = register_module("k_proj", Linear(width, width));
  v_proj = register_module("v_proj", Linear(width, width));
  out_proj = register_module("out_proj", Linear(width, width));
}

Tensor ClipAttentionImpl::forward(const Tensor& x) {
  return out_proj(attention(q_proj(x), k_proj(x), v_proj(x), heads, /*is_causal=*/true));
}

ClipMlpImpl::ClipMlpImpl(const ClipConfig& config) : activation(config.activation) {
  fc1 = register_module("fc1", Linear(config.width, config.mlp_width));
  fc2 = register_module("fc2", Linear(config.mlp_width, config.width));
}

Tensor ClipMlpImpl::forward(const Tensor& x) {
  const Tensor h = fc1(x);
  return fc2(activation == ClipActivation::kGelu ? at::gelu(h) : h * at::sigmoid(1.702 * h));
}

ClipLayerImpl::ClipLayerImpl(const ClipConfig& config) {
  layer_norm1 = register_module("layer_norm1", LayerNorm(config.width));
  self_attn = register_module("self_attn", ClipAttention(config.width, config.heads));
  layer_norm2 = register_module("layer_norm2", LayerNorm(config.width));
  mlp = register_module("mlp", ClipMlp(config));
}

Tensor ClipLayerImpl::forward(const Tensor& x) {
  const Tensor h = x + self_attn(layer_norm1(x));
  return h + mlp(layer_norm2(h));
}

ClipTextImpl::ClipTextImpl(const ClipConfig& config) : config(config) {
  const auto text_model = name_part(*this, "text_model");
  const auto embeddings = name_part(*text_model, "embeddings");
  token_embedding =
      embeddings->register_module("token_embedding", Embedding(config.vocab_size, config.width));
  position_embedding =
      embeddings->register_module("position_embedding", Embedding(config.positions, config.width));
  const auto list = name_part(*name_part(*text_model, "encoder"), "layers");
  for (int64_t i = 0; i < config.layers; ++i) {
    layers.push_back(list->register_module(std::to_string(i), ClipLayer(config)));
  }
  final_layer_norm = text_model->register_module("final_layer_norm", LayerNorm(config.width));
  if (config.projection > 0) {
    text_projection = register_module("text_projection",
                                      Linear(config.width, config.projection, /*with_bias=*/false));
  }
}

ClipOutput ClipTextImpl::forward(const Tensor& ids, int64_t clip_skip,
                                 std::span<const TokenVector> vectors) {
  check_shape(ids, {-1, -1}, "ClipText::forward: ids");
  if (ids.size(1) > config.positions) {
    throw Error("ClipText::forward: {} ids in a row, the model has {} positions", ids.size(1),
                config.positions);
  }
  if (clip_skip < 0 || clip_skip >= config.layers) {
    throw InvalidRequest("clip skip: {} is outside of 0 to {} for a text encoder of {} layers",
                         clip_skip, config.layers - 1, config.layers);
  }
  const Tensor device_ids = ids.to(token_embedding->weight.device());
  Tensor x = embed(device_ids, vectors);
  std::vector<Tensor> states = {x};
  for (ClipLayer& layer : layers) states.push_back(x = layer(x));
  ClipOutput out;
  const size_t end = states.size();
  out.hidden = states[end - clip_skip - 2];
  out.last = final_layer_norm(states[end - clip_skip - 1]);
  if (text_projection) {
    out.pooled = pool(device_ids, clip_skip == 0 ? out.last : final_layer_norm(states.back()));
  }
  return out;
}

Tensor ClipTextImpl::embed(const Tensor& ids, std::span<const TokenVector> vectors) {
  const Tensor tokens = token_embedding(ids);
  for (const TokenVector& place : vectors) {
    check_shape(place.vector, {config.width}, "ClipText::forward: vector of a textual inversion");
    tokens[place.row][place.position].copy_(place.vector);
  }
  return tokens + position_embedding->weight.narrow(0, 0, ids.size(1));
}

Tensor ClipTextImpl::pool(const Tensor& ids, const Tensor& normalized) {
  // Not argmax(): with the end token as padding there are many equal maxima, and it may return any.
  const int64_t last = ids.size(1) - 1;
  const Tensor places = at::arange(ids.size(1), ids.options());
  const Tensor first_end = at::where(ids == config.eos_id, places, last).amin(1);
  return text_projection(normalized.index({at::arange(ids.size(0), ids.options()), first_end}));
}

}  // namespace fourstep
