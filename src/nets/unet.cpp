#include "nets/unet.h"

#include <fmt/format.h>

#include "base/error.h"
#include "nets/branches.h"

namespace fourstep {

namespace {

ResBlockOptions resnet_options(const UNetConfig& config) {
  return {.time_channels = config.time_width, .eps = 1e-5};
}

TransformerOptions transformer_options(const UNetLevel& level, const UNetConfig& config) {
  return {.heads = level.heads,
          .cross_width = config.cross_width,
          .has_linear_projection = config.has_linear_projection};
}

void check_nag(const Tensor& context, int64_t batch, const UNetConfig& config) {
  check_shape(context, {-1, -1, config.cross_width}, "UNet: context of NAG");
  if (context.size(0) <= batch && context.size(1) > 0) return;
  throw Error("UNet: context of NAG: shape {}, expected at most {} rows of some tokens",
              to_string(shape_of(context)), batch);
}

void check_input(const UNetInput& input, const UNetConfig& config) {
  const auto check = [](const Tensor& tensor, const Shape& expected, const std::string& name) {
    if (!tensor.defined())
      throw Error("UNet: {} is missing, expected {}", name, to_string(expected));
    check_shape(tensor, expected, "UNet: " + name);
  };
  check(input.x, {-1, config.in_channels, -1, -1}, "x");
  const int64_t batch = input.x.size(0);
  check(input.timestep, {batch}, "timestep");
  check(input.context, {batch, -1, config.cross_width}, "context");
  if (input.hooks && input.hooks->nag) check_nag(input.hooks->nag->context, batch, config);
  if (config.added_width == 0) return;
  check(input.pooled, {batch, -1}, "pooled");
  check(input.time_ids, {batch, -1}, "time_ids");
  const int64_t rest = config.added_width - input.pooled.size(1), count = input.time_ids.size(1);
  if (count == 0 || rest <= 0 || rest % (2 * count) != 0) {
    throw Error(
        "UNet: pooled of width {} and {} time_ids do not fill an added condition of width {}",
        input.pooled.size(1), count, config.added_width);
  }
}

/// Input widths of the down path's resnets on one level.
std::vector<int64_t> down_widths(const UNetConfig& config, size_t level) {
  std::vector<int64_t> widths(config.levels[level].down_depth.size(),
                              config.levels[level].channels);
  if (level > 0 && !widths.empty()) widths.front() = config.levels[level - 1].channels;
  return widths;
}

/// Input widths of the up path's resnets on one level: running map and skip together. The last skip of a
/// level is what the level above handed down.
std::vector<int64_t> up_widths(const UNetConfig& config, size_t level) {
  const auto& levels = config.levels;
  const int64_t own = levels[level].channels;
  std::vector<int64_t> widths(levels[level].up_depth.size(), own + own);
  if (widths.empty()) return widths;
  const int64_t below = level + 1 < levels.size() ? levels[level + 1].channels : own;
  const int64_t above = level > 0 ? levels[level - 1].channels : own;
  widths.front() += below - own;
  widths.back() += above - own;
  return widths;
}

/// x itself; but gradients of what uses the result are summed before those of other users of x are added, the order
/// that recomputing a block brings with it: so both ways give the same bits.
Tensor with_own_sum(const Tensor& x) { return x.requires_grad() ? x.view_as(x) : x; }

Tensor run_resnet(ResBlock& resnet, const Tensor& x, const UNetCondition& condition) {
  return condition.is_recomputed ? recompute_module(resnet, x, condition.temb)
                                 : resnet(with_own_sum(x), condition.temb);
}

Tensor run_transformer(SpatialTransformer& transformer, const Tensor& x,
                       const UNetCondition& condition, const std::string& name) {
  if (!condition.hooks) return transformer(x, condition.context, condition.is_recomputed);
  return transformer->forward_hooked(x, condition.context,
                                     hooks_at(*condition.hooks, name, x.size(2), x.size(3)));
}

/// What the up path goes on with.
Tensor join_skip(const Tensor& x, const Tensor& skip, const UNetHooks* hooks,
                 int64_t model_channels) {
  if (!hooks || !hooks->freeu) return at::cat({x, skip}, 1);
  const BackboneAndSkip parts = apply_freeu({x, skip}, *hooks->freeu, model_channels);
  return at::cat({parts.backbone, parts.skip}, 1);
}

}  // namespace

UNetBlockImpl::UNetBlockImpl(const std::vector<int64_t>& in_channels, const UNetLevel& level,
                             const std::vector<int64_t>& depths, const UNetConfig& config) {
  attentions = register_module("attentions", make_module_list<SpatialTransformer>());
  resnets = register_module("resnets", make_module_list<ResBlock>());
  downsamplers = register_module("downsamplers", make_module_list<Downsampler>());
  upsamplers = register_module("upsamplers", make_module_list<Upsampler>());
  for (size_t i = 0; i < depths.size(); ++i) {
    resnets->push_back(ResBlock(in_channels[i], level.channels, resnet_options(config)));
    if (depths[i] == 0) continue;
    attentions->push_back(
        SpatialTransformer(level.channels, depths[i], transformer_options(level, config)));
  }
}

Tensor UNetBlockImpl::run_layer(size_t i, const Tensor& x, const UNetCondition& condition) {
  const Tensor h = run_resnet((*resnets)[i], x, condition);
  if (i >= attentions->size()) return h;
  const std::string layer = condition.hooks ? fmt::format("{}.{}", name, i) : std::string();
  return run_transformer((*attentions)[i], h, condition, layer);
}

UNetMidBlockImpl::UNetMidBlockImpl(const UNetConfig& config) {
  const UNetLevel& level = config.levels.back();
  attentions = register_module("attentions", make_module_list<SpatialTransformer>());
  resnets = register_module("resnets", make_module_list<ResBlock>());
  resnets->push_back(ResBlock(level.channels, level.channels, resnet_options(config)));
  if (config.mid_depth == 0) return;
  attentions->push_back(
      SpatialTransformer(level.channels, config.mid_depth, transformer_options(level, config)));
  resnets->push_back(ResBlock(level.channels, level.channels, resnet_options(config)));
}

Tensor UNetMidBlockImpl::forward(Tensor x, const UNetCondition& condition) {
  x = run_resnet((*resnets)[0], x, condition);
  if (attentions->empty()) return x;
  x = run_transformer((*attentions)[0], x, condition, "mid");
  return run_resnet((*resnets)[1], x, condition);
}

UNetImpl::UNetImpl(const UNetConfig& config) : config(config) {
  const auto& levels = config.levels;
  const int64_t width = levels.front().channels;
  conv_in = register_module("conv_in", Conv2d(config.in_channels, width));
  time_embedding = register_module("time_embedding", EmbeddingMlp(width, config.time_width));
  if (config.added_width > 0) {
    add_embedding =
        register_module("add_embedding", EmbeddingMlp(config.added_width, config.time_width));
  }
  down_blocks = register_module("down_blocks", make_module_list<UNetBlock>());
  for (size_t i = 0; i < levels.size(); ++i) {
    down_blocks->push_back(
        UNetBlock(down_widths(config, i), levels[i], levels[i].down_depth, config));
    down_blocks->back()->name = fmt::format("down.{}", i);
    if (i + 1 == levels.size()) continue;
    down_blocks->back()->downsamplers->push_back(
        Downsampler(levels[i].channels, DownsamplePadding::kAllSides));
  }
  if (config.has_mid_block) mid_block = register_module("mid_block", UNetMidBlock(config));
  up_blocks = register_module("up_blocks", make_module_list<UNetBlock>());
  for (size_t i = levels.size(); i-- > 0;) {
    up_blocks->push_back(UNetBlock(up_widths(config, i), levels[i], levels[i].up_depth, config));
    up_blocks->back()->name = fmt::format("up.{}", levels.size() - 1 - i);
    if (i > 0) up_blocks->back()->upsamplers->push_back(Upsampler(levels[i].channels));
  }
  conv_norm_out = register_module("conv_norm_out", GroupNorm(kNormGroups, width, 1e-5));
  conv_out = register_module("conv_out", Conv2d(width, config.out_channels));
}

Tensor UNetImpl::embed_condition(const UNetInput& input) {
  const auto dtype = conv_in->weight.scalar_type();
  const int64_t width = config.levels.front().channels;
  const Tensor temb = time_embedding(sinusoidal_embedding(input.timestep, width).to(dtype));
  if (!add_embedding) return temb;
  const int64_t size_width = (config.added_width - input.pooled.size(1)) / input.time_ids.size(1);
  const Tensor sizes = sinusoidal_embedding(input.time_ids, size_width).flatten(1);
  return temb + add_embedding(at::cat({input.pooled.to(dtype), sizes.to(dtype)}, 1));
}

UNetCondition UNetImpl::make_condition(const UNetInput& input) {
  check_input(input, config);
  const auto dtype = conv_in->weight.scalar_type();
  Tensor context = input.context.to(dtype);
  if (input.hooks && input.hooks->nag) {
    context = cat_nag_context(context, input.hooks->nag->context.to(context.options()));
  }
  return {embed_condition(input), context, is_recomputed, input.hooks};
}

Tensor UNetImpl::run_down_and_middle(const UNetInput& input, const UNetCondition& condition,
                                     std::vector<Tensor>& skips) {
  const auto dtype = conv_in->weight.scalar_type();
  Tensor x = conv_in(input.x.to(dtype).contiguous(at::MemoryFormat::ChannelsLast));
  skips.push_back(x);
  for (auto& block : *down_blocks) {
    for (size_t i = 0; i < block->resnets->size(); ++i) {
      skips.push_back(x = block->run_layer(i, x, condition));
    }
    for (auto& downsampler : *block->downsamplers) skips.push_back(x = downsampler(x));
  }
  return mid_block ? mid_block(x, condition) : x;
}

Tensor UNetImpl::bottleneck(const UNetInput& input) {
  std::vector<Tensor> skips;
  return run_down_and_middle(input, make_condition(input), skips);
}

Tensor UNetImpl::forward(const UNetInput& input) {
  const UNetCondition condition = make_condition(input);
  std::vector<Tensor> skips;
  Tensor x = run_down_and_middle(input, condition, skips);
  for (auto& block : *up_blocks) {
    for (size_t i = 0; i < block->resnets->size(); ++i) {
      x = join_skip(x, skips.back(), input.hooks, config.levels.front().channels);
      skips.pop_back();
      x = block->run_layer(i, x, condition);
    }
    for (auto& upsampler : *block->upsamplers) {
      x = upsampler(x, skips.back().size(2), skips.back().size(3));
    }
  }
  return conv_out(silu_of_temporary(conv_norm_out(x))).to(input.x.scalar_type());
}

}  // namespace fourstep
