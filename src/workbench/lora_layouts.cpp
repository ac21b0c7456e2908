#include "workbench/lora_layouts.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "io/checkpoint.h"
#include "io/module_names.h"
#include "io/single_file.h"

namespace fourstep {
namespace {

/// What a UNet's configuration says beside its layout.
struct UNetWidths {
  std::vector<int64_t> channels;  ///< per level
  int64_t cross = 0;              ///< of the text
  int64_t added = 0;              ///< of the pooled text and sizes; 0: none
  bool has_linear_projection = true;
};

/// Collects parameters.
class ShapeList {
 public:
  void add_linear(const std::string& name, int64_t out, int64_t in, bool has_bias = true) {
    add(name, {out, in}, has_bias);
  }
  void add_convolution(const std::string& name, int64_t out, int64_t in, int64_t kernel) {
    add(name, {out, in, kernel, kernel}, true);
  }
  void add_norm(const std::string& name, int64_t width) { add(name, {width}, true); }
  NamedShapes take() { return std::move(shapes_); }

 private:
  void add(const std::string& name, const Shape& shape, bool has_bias) {
    shapes_[name + ".weight"] = shape;
    if (has_bias) shapes_[name + ".bias"] = {shape[0]};
  }

  NamedShapes shapes_;
};

class UNetShapes {
 public:
  UNetShapes(const UNetLayout& layout, UNetWidths widths)
      : layout_(layout), widths_(std::move(widths)), time_(4 * widths_.channels[0]) {}

  NamedShapes make() {
    add_ends();
    add_down();
    add_middle();
    add_up();
    return list_.take();
  }

 private:
  void add_ends() {
    const int64_t first = widths_.channels[0];
    list_.add_linear("time_embedding.linear_1", time_, first);
    list_.add_linear("time_embedding.linear_2", time_, time_);
    if (widths_.added > 0) {
      list_.add_linear("add_embedding.linear_1", time_, widths_.added);
      list_.add_linear("add_embedding.linear_2", time_, time_);
    }
    list_.add_convolution("conv_in", first, 4, 3);
    list_.add_norm("conv_norm_out", first);
    list_.add_convolution("conv_out", 4, first, 3);
  }

  void add_down() {
    int64_t running = widths_.channels[0];
    skips_ = {running};
    for (size_t level = 0; level < layout_.down.size(); ++level) {
      const std::string block = fmt::format("down_blocks.{}.", level);
      const int64_t out = widths_.channels[level];
      for (size_t i = 0; i < layout_.down[level].depth.size(); ++i) {
        add_stage(block, i, {running, out}, layout_.down[level].depth[i]);
        running = out;
        skips_.push_back(out);
      }
      if (!layout_.down[level].is_resampled) continue;
      list_.add_convolution(block + "downsamplers.0.conv", out, out, 3);
      skips_.push_back(out);
    }
  }

  void add_middle() {
    const int64_t width = widths_.channels.back();
    size_t resnets = 0, transformers = 0;
    for (const int64_t depth : layout_.mid) {
      if (depth < 0) {
        add_resnet(fmt::format("mid_block.resnets.{}.", resnets++), width, width);
      } else {
        add_transformer(fmt::format("mid_block.attentions.{}.", transformers++), width, depth);
      }
    }
  }

  /// Each resnet takes one of the skips, the latest first.
  void add_up() {
    int64_t running = widths_.channels.back();
    for (size_t level = 0; level < layout_.up.size(); ++level) {
      const std::string block = fmt::format("up_blocks.{}.", level);
      const int64_t out = widths_.channels[widths_.channels.size() - 1 - level];
      for (size_t i = 0; i < layout_.up[level].depth.size(); ++i) {
        add_stage(block, i, {running + skips_.back(), out}, layout_.up[level].depth[i]);
        skips_.pop_back();
        running = out;
      }
      if (layout_.up[level].is_resampled)
        list_.add_convolution(block + "upsamplers.0.conv", out, out, 3);
    }
  }

  /// A resnet and the transformer behind it. channels: in and out.
  void add_stage(const std::string& block, size_t index, std::pair<int64_t, int64_t> channels,
                 int64_t depth) {
    add_resnet(fmt::format("{}resnets.{}.", block, index), channels.first, channels.second);
    if (depth > 0)
      add_transformer(fmt::format("{}attentions.{}.", block, index), channels.second, depth);
  }

  void add_resnet(const std::string& name, int64_t in, int64_t out) {
    list_.add_norm(name + "norm1", in);
    list_.add_convolution(name + "conv1", out, in, 3);
    list_.add_linear(name + "time_emb_proj", out, time_);
    list_.add_norm(name + "norm2", out);
    list_.add_convolution(name + "conv2", out, out, 3);
    if (in != out) list_.add_convolution(name + "conv_shortcut", out, in, 1);
  }

  void add_transformer(const std::string& name, int64_t width, int64_t depth) {
    list_.add_norm(name + "norm", width);
    for (const char* projection : {"proj_in", "proj_out"}) {
      if (widths_.has_linear_projection) {
        list_.add_linear(name + projection, width, width);
      } else {
        list_.add_convolution(name + projection, width, width, 1);
      }
    }
    for (int64_t i = 0; i < depth; ++i)
      add_block(fmt::format("{}transformer_blocks.{}.", name, i), width);
  }

  void add_block(const std::string& name, int64_t width) {
    for (const char* norm : {"norm1", "norm2", "norm3"}) list_.add_norm(name + norm, width);
    add_attention(name + "attn1.", width, width);
    add_attention(name + "attn2.", width, widths_.cross);
    list_.add_linear(name + "ff.net.0.proj", 8 * width, width);  // values and gates of GEGLU
    list_.add_linear(name + "ff.net.2", width, 4 * width);
  }

  void add_attention(const std::string& name, int64_t width, int64_t context) {
    list_.add_linear(name + "to_q", width, width, /*has_bias=*/false);
    list_.add_linear(name + "to_k", width, context, /*has_bias=*/false);
    list_.add_linear(name + "to_v", width, context, /*has_bias=*/false);
    list_.add_linear(name + "to_out.0", width, width);
  }

  const UNetLayout& layout_;
  UNetWidths widths_;
  int64_t time_;  ///< width of the time embedding
  std::vector<int64_t> skips_;
  ShapeList list_;
};

/// is_projected: with the projection of the pooled text.
NamedShapes text_shapes(int64_t layers, int64_t width, bool is_projected) {
  ShapeList list;
  for (int64_t i = 0; i < layers; ++i) {
    const std::string layer = fmt::format("text_model.encoder.layers.{}.", i);
    for (const char* name : {"q_proj", "k_proj", "v_proj", "out_proj"})
      list.add_linear(layer + "self_attn." + name, width, width);
    list.add_linear(layer + "mlp.fc1", 4 * width, width);
    list.add_linear(layer + "mlp.fc2", width, 4 * width);
    for (const char* name : {"layer_norm1", "layer_norm2"}) list.add_norm(layer + name, width);
  }
  list.add_norm("text_model.final_layer_norm", width);
  if (is_projected) list.add_linear("text_projection", width, width, /*has_bias=*/false);
  return list.take();
}

using Depths = std::vector<std::vector<int64_t>>;

/// All levels but the last are resampled. mid_depth: 0 for a middle of one resnet alone.
UNetLayout make_layout(const Depths& down, int64_t mid_depth, const Depths& up) {
  UNetLayout layout;
  for (size_t i = 0; i < down.size(); ++i) {
    layout.down.push_back({down[i], i + 1 < down.size()});
    layout.up.push_back({up[i], i + 1 < up.size()});
  }
  layout.mid = mid_depth > 0 ? std::vector<int64_t>{-1, mid_depth, -1} : std::vector<int64_t>{-1};
  return layout;
}

UNetLayout unet_layout(Family family) {
  const std::vector<int64_t> none = {0, 0}, none_up = {0, 0, 0};
  switch (family) {
    case Family::kSdxl:
      return make_layout({none, {2, 2}, {10, 10}}, 10, {{10, 10, 10}, {2, 2, 2}, none_up});
    case Family::kSsd1b:
      return make_layout({none, {2, 2}, {4, 4}}, 0, {{4, 4, 10}, {2, 1, 1}, none_up});
    case Family::kVega:
      return make_layout({none, {1, 1}, {2, 2}}, 0, {{2, 2, 2}, {1, 1, 1}, none_up});
    default:
      return make_layout({{1, 1}, {1, 1}, {1, 1}, none}, 1,
                         {none_up, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}});
  }
}

}  // namespace

LoraLayout published_layout(Family family) {
  const bool is_sd15 = family == Family::kSd15;
  const UNetWidths widths = is_sd15 ? UNetWidths{{320, 640, 1280, 1280}, 768, 0, false}
                                    : UNetWidths{{320, 640, 1280}, 2048, 2816, true};
  LoraLayout layout{to_string(family), {}, {}};
  layout.shapes[Component::kUnet] = UNetShapes(unet_layout(family), widths).make();
  layout.shapes[Component::kTextEncoder] = text_shapes(12, 768, /*is_projected=*/false);
  if (!is_sd15)
    layout.shapes[Component::kTextEncoder2] = text_shapes(32, 1280, /*is_projected=*/true);
  layout.ldm_names = ldm_unet_names(layout.shapes[Component::kUnet]);
  return layout;
}

std::vector<LoraLayout> published_layouts() {
  std::vector<LoraLayout> layouts;
  for (const Family family : {Family::kSdxl, Family::kSsd1b, Family::kVega, Family::kSd15})
    layouts.push_back(published_layout(family));
  return layouts;
}

LoraLayout layout_of_model(const std::filesystem::path& path) {
  const Checkpoint checkpoint = open_checkpoint(path);
  LoraLayout layout{path.filename().string(), {}, {}};
  for (const auto& [component, tensors] : checkpoint.components) {
    if (component != Component::kVae) layout.shapes[component] = shapes_of(tensors);
  }
  layout.ldm_names = ldm_unet_names(layout.shapes[Component::kUnet]);
  return layout;
}

LoraTargets make_targets(const LoraLayout& layout) { return {layout.shapes, layout.ldm_names}; }

std::string module_of(const std::string& parameter) {
  return parameter.substr(0, parameter.rfind('.'));
}

std::string ldm_module(const LoraLayout& layout, const std::string& parameter) {
  const auto found = layout.ldm_names.find(parameter);
  return found == layout.ldm_names.end() ? "" : module_of(found->second);
}

}  // namespace fourstep
