#include "nets/unet.h"

#include <fmt/format.h>

#include "base/error.h"
#include "layers/recompute.h"

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

void check_terms(const UNetExtras& extras, int64_t batch, const UNetConfig& config) {
  for (const AttentionTerm& term : extras.attention_terms) {
    const auto* added = std::get_if<AddedContext>(&term.entry);
    const int64_t width = added && added->projections ? -1 : config.cross_width;
    check_shape(term.context, {-1, -1, width}, "UNet: context of an attention term");
    if (term.context.size(0) <= batch && term.context.size(1) > 0) continue;
    throw Error(
        "UNet: context of an attention term: shape {}, expected at most {} rows of some tokens",
        to_string(shape_of(term.context)), batch);
  }
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
  if (input.extras) check_terms(*input.extras, batch, config);
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

/// Input widths of the up path's resnets on one level: running map and skip together. The last skip
/// of a level is what the level above handed down.
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

/// x itself; but gradients of what uses the result are summed before those of other users of x are
/// added, the order that recomputing a block brings with it: so both ways give the same bits.
Tensor with_own_sum(const Tensor& x) { return x.requires_grad() ? x.view_as(x) : x; }

Tensor run_resnet(ResBlock resnet, const Tensor& x, const BlockCall& call) {
  if (call.extras->between_layers) call.extras->between_layers();
  if (!call.extras->checkpointing) {
    return resnet(with_own_sum(x), call.temb, call.branches());
  }
  const auto run = [resnet,
                    branches = call.extras->adapters](const std::vector<Tensor>& inputs) mutable {
    return resnet(inputs[0], inputs[1], branches.get());
  };
  return recompute(run, {x, call.temb});
}

/// `map` with residual i where there is one.
Tensor with_residual(const Tensor& map, const std::vector<Tensor>& residuals, size_t i,
                     const char* name) {
  if (i >= residuals.size() || !residuals[i].defined()) return map;
  check_shape(residuals[i], shape_of(map), fmt::format("UNet: residual {} of {}", i, name));
  return map + residuals[i].to(map.options());
}

void check_count(const std::vector<Tensor>& residuals, size_t count, const char* name) {
  if (residuals.empty() || residuals.size() == count) return;
  throw Error("UNet: {} residuals of {}, expected {}", residuals.size(), name, count);
}

/// What the up path goes on with.
Tensor join_skip(const Tensor& x, const Tensor& skip, const UNetExtras& extras,
                 int64_t model_channels) {
  if (!extras.freeu) return at::cat({x, skip}, 1);
  const BackboneAndSkip parts = apply_freeu({x, skip}, *extras.freeu, model_channels);
  return at::cat({parts.backbone, parts.skip}, 1);
}

}  // namespace

UNetBlockImpl::UNetBlockImpl(const std::string& name, const std::vector<int64_t>& in_channels,
                             const UNetLevel& level, const std::vector<int64_t>& depths,
                             const UNetConfig& config) {
  attentions = register_module("attentions", make_module_list<SpatialTransformer>());
  resnets = register_module("resnets", make_module_list<ResBlock>());
  downsamplers = register_module("downsamplers", make_module_list<Downsampler>());
  upsamplers = register_module("upsamplers", make_module_list<Upsampler>());
  for (size_t i = 0; i < depths.size(); ++i) {
    resnets->push_back(ResBlock(in_channels[i], level.channels, resnet_options(config)));
    if (depths[i] == 0) continue;
    attentions->push_back(
        SpatialTransformer(level.channels, depths[i], transformer_options(level, config)));
    attentions->back()->name = fmt::format("{}.{}", name, i);
  }
}

Tensor UNetBlockImpl::run_layer(size_t i, const Tensor& x, const BlockCall& call) {
  const Tensor h = run_resnet((*resnets)[i], x, call);
  return i < attentions->size() ? (*attentions)[i](h, call) : h;
}

UNetMidBlockImpl::UNetMidBlockImpl(const UNetConfig& config) {
  const UNetLevel& level = config.levels.back();
  attentions = register_module("attentions", make_module_list<SpatialTransformer>());
  resnets = register_module("resnets", make_module_list<ResBlock>());
  resnets->push_back(ResBlock(level.channels, level.channels, resnet_options(config)));
  if (config.mid_depth == 0) return;
  attentions->push_back(
      SpatialTransformer(level.channels, config.mid_depth, transformer_options(level, config)));
  attentions->back()->name = "mid";
  resnets->push_back(ResBlock(level.channels, level.channels, resnet_options(config)));
}

Tensor UNetMidBlockImpl::forward(Tensor x, const BlockCall& call) {
  x = run_resnet((*resnets)[0], x, call);
  if (attentions->empty()) return x;
  x = (*attentions)[0](x, call);
  return run_resnet((*resnets)[1], x, call);
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
    down_blocks->push_back(UNetBlock(fmt::format("down.{}", i), down_widths(config, i), levels[i],
                                     levels[i].down_depth, config));
    if (i + 1 == levels.size()) continue;
    down_blocks->back()->downsamplers->push_back(
        Downsampler(levels[i].channels, DownsamplePadding::kAllSides));
  }
  if (config.has_mid_block) mid_block = register_module("mid_block", UNetMidBlock(config));
  up_blocks = register_module("up_blocks", make_module_list<UNetBlock>());
  for (size_t i = levels.size(); i-- > 0;) {
    up_blocks->push_back(UNetBlock(fmt::format("up.{}", levels.size() - 1 - i),
                                   up_widths(config, i), levels[i], levels[i].up_depth, config));
    if (i > 0) up_blocks->back()->upsamplers->push_back(Upsampler(levels[i].channels));
  }
  conv_norm_out = register_module("conv_norm_out", GroupNorm(kNormGroups, width, 1e-5));
  conv_out = register_module("conv_out", Conv2d(width, config.out_channels));
}

Tensor UNetImpl::embed_condition(const UNetInput& input) {
  const auto dtype = conv_in->weight.scalar_type();
  const int64_t width = config.levels.front().channels;
  const Branches* branches = input.extras ? input.extras->adapters.get() : nullptr;
  const Tensor steps = sinusoidal_embedding(input.timestep, width).to(dtype);
  const Tensor temb = time_embedding(steps, branches);
  if (!add_embedding) return temb;
  const int64_t size_width = (config.added_width - input.pooled.size(1)) / input.time_ids.size(1);
  const Tensor sizes = sinusoidal_embedding(input.time_ids, size_width).flatten(1);
  return temb + add_embedding(at::cat({input.pooled.to(dtype), sizes.to(dtype)}, 1), branches);
}

BlockCall UNetImpl::make_call(const UNetInput& input) {
  check_input(input, config);
  BlockCall call{.temb = embed_condition(input),
                 .context = input.context.to(conv_in->weight.scalar_type())};
  if (!input.extras) return call;
  std::vector<Tensor> contexts{call.context};
  for (const AttentionTerm& term : input.extras->attention_terms) {
    if (!std::holds_alternative<NagGuidance>(term.entry)) continue;
    contexts.push_back(term.context.to(call.context.options()));
  }
  if (contexts.size() > 1) call.context = cat_contexts(contexts);
  // A backward pass needs a copy: by then the caller's may be gone.
  call.extras = input.extras->checkpointing
                    ? std::make_shared<const UNetExtras>(*input.extras)
                    : std::shared_ptr<const UNetExtras>(std::shared_ptr<void>(), input.extras);
  return call;
}

Tensor UNetImpl::run_down_and_middle(const UNetInput& input, const BlockCall& call,
                                     std::vector<Tensor>& skips) {
  const auto dtype = conv_in->weight.scalar_type();
  const UNetResiduals& residuals = call.extras->residuals;
  Tensor x = input.x.to(dtype).contiguous(at::MemoryFormat::ChannelsLast);
  const auto keep = [&](const Tensor& map) {
    skips.push_back(x = with_residual(map, residuals.down, skips.size(), "the down path"));
  };
  keep(conv_in(x, call.branches()));
  for (auto& block : *down_blocks) {
    for (size_t i = 0; i < block->resnets->size(); ++i) keep(block->run_layer(i, x, call));
    for (auto& downsampler : *block->downsamplers) keep(downsampler(x, call.branches()));
  }
  check_count(residuals.down, skips.size(), "the down path");
  if (mid_block) x = mid_block(x, call);
  return with_residual(x, {residuals.middle}, 0, "the middle");
}

Tensor UNetImpl::bottleneck(const UNetInput& input) {
  std::vector<Tensor> skips;
  return run_down_and_middle(input, make_call(input), skips);
}

Tensor UNetImpl::forward(const UNetInput& input) {
  const BlockCall call = make_call(input);
  const UNetExtras& extras = *call.extras;
  std::vector<Tensor> skips;
  Tensor x = run_down_and_middle(input, call, skips);
  check_count(extras.residuals.skips, skips.size(), "the skips");
  for (auto& block : *up_blocks) {
    for (size_t i = 0; i < block->resnets->size(); ++i) {
      const size_t skip = skips.size() - 1;
      x = join_skip(x, with_residual(skips[skip], extras.residuals.skips, skip, "the skips"),
                    extras, config.levels.front().channels);
      skips.pop_back();
      x = block->run_layer(i, x, call);
    }
    for (auto& upsampler : *block->upsamplers) {
      x = upsampler(x, skips.back().size(2), skips.back().size(3), call.branches());
    }
  }
  x = conv_out(silu_of_temporary(conv_norm_out(x)), call.branches());
  return x.to(input.x.scalar_type());
}

}  // namespace fourstep
