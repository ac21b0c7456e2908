#pragma once
// Small random models of the layouts under test, under diffusers names. The shapes come from a
// description (widths, depths), so that tests can vary both.

#include <fmt/format.h>
#include <torch/torch.h>

#include <string>
#include <vector>

#include "io/checkpoint.h"

namespace fourstep::testing {

struct TinyUNet {
  std::vector<int64_t> channels = {32, 64};
  std::vector<int64_t> depth = {0, 2};  ///< per level; 0: no attention
  int64_t resnets = 2;                  ///< per level of the down path
  int64_t mid_depth = 2;                ///< 0: one resnet, no attention
  int64_t in_channels = 4;
  int64_t cross_width = 48;
  int64_t added_width = 112;  ///< 0: none
  bool has_linear_projection = true;
};

/// Collects shapes under a growing prefix.
class ShapeWriter {
 public:
  NamedShapes shapes;

  void pair(const std::string& name, const Shape& weight) {
    shapes[name + ".weight"] = weight;
    shapes[name + ".bias"] = {weight[0]};
  }
  void conv(const std::string& name, int64_t in, int64_t out, int64_t kernel = 3) {
    pair(name, {out, in, kernel, kernel});
  }
  void linear(const std::string& name, int64_t in, int64_t out) { pair(name, {out, in}); }
  void norm(const std::string& name, int64_t width) { pair(name, {width}); }

  void resnet(const std::string& name, int64_t in, int64_t out, int64_t time_width) {
    norm(name + ".norm1", in);
    conv(name + ".conv1", in, out);
    if (time_width > 0) linear(name + ".time_emb_proj", time_width, out);
    norm(name + ".norm2", out);
    conv(name + ".conv2", out, out);
    if (in != out) conv(name + ".conv_shortcut", in, out, 1);
  }

  void transformer(const std::string& name, int64_t width, int64_t depth, const TinyUNet& unet) {
    norm(name + ".norm", width);
    for (const char* projection : {".proj_in", ".proj_out"}) {
      if (unet.has_linear_projection)
        linear(name + projection, width, width);
      else
        conv(name + projection, width, width, 1);
    }
    for (int64_t k = 0; k < depth; ++k)
      block(fmt::format("{}.transformer_blocks.{}", name, k), width, unet);
  }

 private:
  void block(const std::string& name, int64_t width, const TinyUNet& unet) {
    for (const char* part : {".norm1", ".norm2", ".norm3"}) norm(name + part, width);
    for (const std::string attention : {".attn1", ".attn2"}) {
      const int64_t context = attention == ".attn1" ? width : unet.cross_width;
      shapes[name + attention + ".to_q.weight"] = {width, width};
      shapes[name + attention + ".to_k.weight"] = {width, context};
      shapes[name + attention + ".to_v.weight"] = {width, context};
      linear(name + attention + ".to_out.0", width, width);
    }
    linear(name + ".ff.net.0.proj", width, 8 * width);
    linear(name + ".ff.net.2", 4 * width, width);
  }
};

inline void add_tiny_down(ShapeWriter& out, const TinyUNet& unet, int64_t time_width,
                          std::vector<int64_t>& skips) {
  int64_t width = unet.channels.front();
  for (size_t level = 0; level < unet.channels.size(); ++level) {
    const std::string block = fmt::format("down_blocks.{}", level);
    for (int64_t i = 0; i < unet.resnets; ++i) {
      out.resnet(fmt::format("{}.resnets.{}", block, i), width, unet.channels[level], time_width);
      width = unet.channels[level];
      skips.push_back(width);
      if (unet.depth[level] > 0)
        out.transformer(fmt::format("{}.attentions.{}", block, i), width, unet.depth[level], unet);
    }
    if (level + 1 == unet.channels.size()) break;
    out.conv(block + ".downsamplers.0.conv", width, width);
    skips.push_back(width);
  }
}

inline void add_tiny_up(ShapeWriter& out, const TinyUNet& unet, int64_t time_width,
                        std::vector<int64_t>& skips) {
  int64_t width = unet.channels.back();
  for (size_t step = 0; step < unet.channels.size(); ++step) {
    const size_t level = unet.channels.size() - 1 - step;
    const std::string block = fmt::format("up_blocks.{}", step);
    for (int64_t i = 0; i <= unet.resnets; ++i) {
      out.resnet(fmt::format("{}.resnets.{}", block, i), width + skips.back(), unet.channels[level],
                 time_width);
      skips.pop_back();
      width = unet.channels[level];
      if (unet.depth[level] > 0)
        out.transformer(fmt::format("{}.attentions.{}", block, i), width, unet.depth[level], unet);
    }
    if (level > 0) out.conv(block + ".upsamplers.0.conv", width, width);
  }
}

inline NamedShapes tiny_unet_shapes(const TinyUNet& unet) {
  ShapeWriter out;
  const int64_t first = unet.channels.front(), last = unet.channels.back(), time_width = 4 * first;
  std::vector<int64_t> skips = {first};
  out.conv("conv_in", unet.in_channels, first);
  out.linear("time_embedding.linear_1", first, time_width);
  out.linear("time_embedding.linear_2", time_width, time_width);
  if (unet.added_width > 0) {
    out.linear("add_embedding.linear_1", unet.added_width, time_width);
    out.linear("add_embedding.linear_2", time_width, time_width);
  }
  add_tiny_down(out, unet, time_width, skips);
  out.resnet("mid_block.resnets.0", last, last, time_width);
  if (unet.mid_depth > 0) {
    out.transformer("mid_block.attentions.0", last, unet.mid_depth, unet);
    out.resnet("mid_block.resnets.1", last, last, time_width);
  }
  add_tiny_up(out, unet, time_width, skips);
  out.norm("conv_norm_out", first);
  out.conv("conv_out", first, 4);
  return out.shapes;
}

struct TinyVaeHalf {
  std::string name, blocks, resampler;
  std::vector<int64_t> widths;  ///< per level, in execution order
  int64_t resnets = 1;          ///< per level
  int64_t mid_width = 32, in = 3, out = 8;
};

inline void add_tiny_vae_half(ShapeWriter& out, const TinyVaeHalf& half) {
  int64_t width = half.widths.front();
  out.conv(half.name + ".conv_in", half.in, width);
  for (size_t level = 0; level < half.widths.size(); ++level) {
    const std::string block = fmt::format("{}.{}.{}", half.name, half.blocks, level);
    for (int64_t i = 0; i < half.resnets; ++i) {
      out.resnet(fmt::format("{}.resnets.{}", block, i), width, half.widths[level], 0);
      width = half.widths[level];
    }
    if (level + 1 < half.widths.size())
      out.conv(fmt::format("{}.{}.0.conv", block, half.resampler), width, width);
  }
  for (int i = 0; i < 2; ++i)
    out.resnet(fmt::format("{}.mid_block.resnets.{}", half.name, i), half.mid_width, half.mid_width,
               0);
  const std::string attention = half.name + ".mid_block.attentions.0.";
  out.norm(attention + "group_norm", half.mid_width);
  for (const char* part : {"to_q", "to_k", "to_v", "to_out.0"})
    out.linear(attention + part, half.mid_width, half.mid_width);
  out.norm(half.name + ".conv_norm_out", width);
  out.conv(half.name + ".conv_out", width, half.out);
}

/// An autoencoder of `channels` per level with `resnets` per encoder level.
inline NamedShapes tiny_vae_shapes(const std::vector<int64_t>& channels, int64_t resnets) {
  ShapeWriter out;
  const std::vector<int64_t> reversed(channels.rbegin(), channels.rend());
  const int64_t deepest = channels.back();
  add_tiny_vae_half(out,
                    {"encoder", "down_blocks", "downsamplers", channels, resnets, deepest, 3, 8});
  add_tiny_vae_half(out,
                    {"decoder", "up_blocks", "upsamplers", reversed, resnets + 1, deepest, 4, 3});
  out.conv("quant_conv", 8, 8, 1);
  out.conv("post_quant_conv", 4, 4, 1);
  return out.shapes;
}

inline NamedShapes tiny_text_shapes(int64_t layers, int64_t width, bool has_projection) {
  ShapeWriter out;
  out.shapes["text_model.embeddings.token_embedding.weight"] = {64, width};
  out.shapes["text_model.embeddings.position_embedding.weight"] = {77, width};
  out.norm("text_model.final_layer_norm", width);
  if (has_projection) out.shapes["text_projection.weight"] = {width, width};
  for (int64_t k = 0; k < layers; ++k) {
    const std::string layer = fmt::format("text_model.encoder.layers.{}.", k);
    out.norm(layer + "layer_norm1", width);
    out.norm(layer + "layer_norm2", width);
    out.linear(layer + "mlp.fc1", width, 4 * width);
    out.linear(layer + "mlp.fc2", 4 * width, width);
    for (const char* part : {"q_proj", "k_proj", "v_proj", "out_proj"})
      out.linear(layer + "self_attn." + part, width, width);
  }
  return out.shapes;
}

inline NamedTensors random_tensors(const NamedShapes& shapes) {
  NamedTensors tensors;
  for (const auto& [name, shape] : shapes) tensors[name] = torch::randn(shape);
  return tensors;
}

/// A whole random SDXL of the UNet described, with text encoders of widths 16 and cross_width - 16.
inline Checkpoint tiny_sdxl(const TinyUNet& unet = {}) {
  Checkpoint model;
  model.components[Component::kUnet] = random_tensors(tiny_unet_shapes(unet));
  model.components[Component::kVae] = random_tensors(tiny_vae_shapes({16, 32, 32}, 1));
  model.components[Component::kTextEncoder] = random_tensors(tiny_text_shapes(2, 16, false));
  model.components[Component::kTextEncoder2] =
      random_tensors(tiny_text_shapes(3, unet.cross_width - 16, true));
  return model;
}

/// A whole random SD 1.5.
inline Checkpoint tiny_sd15() {
  Checkpoint model;
  model.family = Family::kSd15;
  TinyUNet unet{.channels = {32, 64, 64, 64},
                .depth = {1, 1, 1, 0},
                .mid_depth = 1,
                .cross_width = 16,
                .added_width = 0,
                .has_linear_projection = false};
  model.components[Component::kUnet] = random_tensors(tiny_unet_shapes(unet));
  model.components[Component::kVae] = random_tensors(tiny_vae_shapes({16, 32}, 2));
  model.components[Component::kTextEncoder] = random_tensors(tiny_text_shapes(2, 16, false));
  return model;
}

/// Whether both hold the same names with equal tensors.
inline bool equal_tensors(const NamedTensors& a, const NamedTensors& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](auto& x, auto& y) {
           return x.first == y.first && x.second.dtype() == y.second.dtype() &&
                  torch::equal(x.second, y.second);
         });
}

}  // namespace fourstep::testing
