#include "layers/layers.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>

#include "base/error.h"
#include "base/text_tools.h"
#include "layers/flash_attention.h"
#include "layers/packed_weights.h"

namespace fourstep {

Tensor placeholder(const Shape& shape, torch::Dtype dtype) {
  return torch::zeros({1}, dtype).expand(shape);
}

bool is_placeholder(const Tensor& tensor) {
  return tensor.numel() > 1 && tensor.storage().nbytes() <= tensor.itemsize();
}

namespace {

/// libtorch sends 1x1 convolutions of one thread to oneDNN only from this many images on.
constexpr int64_t kImages = 16;

bool is_for_onednn(const Tensor& x, const Tensor& weight) {
  return x.device().is_cpu() && x.scalar_type() == torch::kFloat32 &&
         weight.scalar_type() == torch::kFloat32 && x.size(-1) > 1 && x.numel() > x.size(-1) &&
         at::globalContext().hasMKLDNN() && at::globalContext().userEnabledMkldnn();
}

/// Whether weight + scale up @ down costs less than down and up on each of `rows` positions: only
/// where no gradient is wanted, and in fp32, since a half-precision weight would round the change
/// away.
bool is_better_folded(const Tensor& x, const Tensor& weight, const LowRankBranch* branch,
                      int64_t rows) {
  if (branch == nullptr || at::GradMode::is_enabled()) return false;
  const bool is_fp32 = x.scalar_type() == torch::kFloat32 &&
                       weight.scalar_type() == torch::kFloat32 &&
                       !at::autocast::is_autocast_enabled(x.device().type());
  const int64_t out = weight.size(0), in = weight.numel() / out;
  return is_fp32 && rows * (in + out) > in * out;
}

Tensor folded(const Tensor& weight, const LowRankBranch& branch) {
  const Tensor sum = at::addmm(weight.flatten(1), branch.up.flatten(1), branch.down.flatten(1),
                               /*beta=*/1, /*alpha=*/branch.scale);
  return sum.view(weight.sizes()).contiguous(weight.suggest_memory_format());
}

/// y + branch(x) for a convolution of these options.
Tensor add_conv_branch(const Tensor& y, const Tensor& x, const LowRankBranch* branch,
                       const Conv2dOptions& options) {
  if (branch == nullptr) return y;
  const auto dtype = x.scalar_type();
  const Tensor down = at::conv2d(x, branch->down.to(dtype), {}, options.stride, options.padding);
  return at::add(y, at::conv2d(down, branch->up.to(dtype)), branch->scale);
}

Tensor weight_slot(nn::Module& module, const char* name, const Shape& shape) {
  return module.register_parameter(name, placeholder(shape), /*requires_grad=*/false);
}

}  // namespace

const LowRankBranch* branch_of(const Branches* branches, const nn::Module& layer) {
  if (branches == nullptr) return nullptr;
  const auto found = branches->find(&layer);
  return found == branches->end() ? nullptr : &found->second;
}

LinearImpl::LinearImpl(int64_t in_features, int64_t out_features, bool with_bias) {
  weight = weight_slot(*this, "weight", {out_features, in_features});
  if (with_bias) bias = weight_slot(*this, "bias", {out_features});
}

Tensor LinearImpl::forward(const Tensor& x, const Branches* branches) {
  const LowRankBranch* branch = branch_of(branches, *this);
  if (packed.defined() && is_placeholder(weight)) {
    return add_branch(packed_linear(x, packed, bias), x, branch);
  }
  return linear_with_branch(x, weight, bias, branch);
}

Tensor linear_product(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  if (!is_for_onednn(x, weight)) return at::linear(x, weight, bias);
  const int64_t in = x.size(-1), out = weight.size(0), rows = x.numel() / in;
  const int64_t images = rows % kImages == 0 ? kImages : 1;
  // Rows of features are a channels-last image already: nothing is moved.
  const Tensor image = x.reshape({images, rows / images, 1, in}).permute({0, 3, 1, 2});
  const Tensor y = at::conv2d(image, weight.view({out, in, 1, 1}), bias);
  Shape shape = shape_of(x);
  shape.back() = out;
  return y.permute({0, 2, 3, 1}).reshape(shape);
}

Tensor linear_with_branch(const Tensor& x, const Tensor& weight, const Tensor& bias,
                          const LowRankBranch* branch) {
  if (!is_better_folded(x, weight, branch, x.numel() / x.size(-1))) {
    return add_branch(linear_product(x, weight, bias), x, branch);
  }
  return linear_product(x, folded(weight, *branch), bias);
}

Tensor add_branch(const Tensor& y, const Tensor& x, const LowRankBranch* branch) {
  if (branch == nullptr) return y;
  const auto dtype = x.scalar_type();
  const Tensor down = linear_product(x, branch->down.to(dtype).flatten(1));
  const Tensor change = linear_product(down, branch->up.to(dtype).flatten(1));
  return at::add(y, change, branch->scale);
}

Conv2dImpl::Conv2dImpl(int64_t in_channels, int64_t out_channels, Conv2dOptions options)
    : options(options) {
  weight =
      weight_slot(*this, "weight", {out_channels, in_channels, options.kernel, options.kernel});
  if (options.with_bias) bias = weight_slot(*this, "bias", {out_channels});
}

Tensor Conv2dImpl::forward(const Tensor& x, const Branches* branches) {
  const LowRankBranch* branch = branch_of(branches, *this);
  if (packed.defined() && is_placeholder(weight)) {
    const Tensor y = packed_conv2d(x, packed, bias, options.stride, options.padding);
    return add_conv_branch(y, x, branch, options);
  }
  if (is_better_folded(x, weight, branch, x.numel() / x.size(1))) {
    return at::conv2d(x, folded(weight, *branch), bias, options.stride, options.padding);
  }
  const Tensor y = at::conv2d(x, weight, bias, options.stride, options.padding);
  return add_conv_branch(y, x, branch, options);
}

GroupNormImpl::GroupNormImpl(int64_t num_groups, int64_t channels, double eps)
    : num_groups(num_groups), eps(eps) {
  weight = weight_slot(*this, "weight", {channels});
  bias = weight_slot(*this, "bias", {channels});
}

Tensor GroupNormImpl::forward(const Tensor& x) {
  // libtorch's bf16 norm on the CPU is slow on batches with few channels per group, 2x to 7x of
  // that of fp32 (batch 64, 64 channels, 16x16: 6.1 against 0.8 ms); with SDXL's widths, or a
  // single picture, it is the faster one.
  constexpr int64_t kFewChannels = 8, kManyPictures = 8;
  const bool is_slow = x.device().is_cpu() && x.scalar_type() == torch::kBFloat16 &&
                       x.size(0) >= kManyPictures && x.size(1) / num_groups < kFewChannels;
  if (!is_slow) return at::group_norm(x, num_groups, weight, bias, eps);
  const auto fp32 = [](const Tensor& tensor) { return tensor.to(torch::kFloat32); };
  return at::group_norm(fp32(x), num_groups, fp32(weight), fp32(bias), eps).to(torch::kBFloat16);
}

LayerNormImpl::LayerNormImpl(int64_t channels, double eps) : eps(eps) {
  weight = weight_slot(*this, "weight", {channels});
  bias = weight_slot(*this, "bias", {channels});
}

Tensor LayerNormImpl::forward(const Tensor& x) {
  return at::layer_norm(x, weight.sizes(), weight, bias, eps);
}

EmbeddingImpl::EmbeddingImpl(int64_t count, int64_t width) {
  weight = weight_slot(*this, "weight", {count, width});
}

Tensor EmbeddingImpl::forward(const Tensor& ids) { return at::embedding(weight, ids); }

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t num_heads,
                 bool is_causal) {
  if (!is_causal && can_use_flash_attention(q, k, v, num_heads)) {
    return flash_attention(q, k, v, num_heads);
  }
  const auto split = [num_heads](const Tensor& t) {  // [B,L,C] -> [B,heads,L,C/heads]
    return t.unflatten(-1, {num_heads, t.size(-1) / num_heads}).transpose(1, 2);
  };
  const Tensor out =
      at::scaled_dot_product_attention(split(q), split(k), split(v), {}, 0.0, is_causal);
  return out.transpose(1, 2).flatten(-2);
}

Tensor empty_weight(const Shape& shape, const WeightTarget& target) {
  const auto format =
      shape.size() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  return at::empty(shape, at::TensorOptions(target.dtype).device(target.device), format);
}

void set_weight(Tensor& parameter, const Tensor& value, const WeightTarget& target) {
  // A copy even of what would fit: kernels round differently for data aligned differently, and an
  // image must not depend on where in a file a weight begins.
  parameter.set_data(empty_weight(shape_of(value), target).copy_(aligned(value)));
}

void load_weights(nn::Module& module, const NamedTensors& weights, const WeightTarget& target,
                  const std::string& what) {
  auto parameters = module.named_parameters();
  std::vector<std::string> missing, unknown;
  for (const auto& item : parameters) {
    if (!weights.count(item.key())) missing.push_back(item.key());
  }
  for (const auto& [name, tensor] : weights) {
    if (!parameters.contains(name)) unknown.push_back(name);
  }
  if (!missing.empty()) {
    throw Error(
        "{}: {} of {} weights are missing ({}); is the file complete and of this model family?",
        what, missing.size(), parameters.size(), join_first(missing));
  }
  if (!unknown.empty()) {
    throw Error("{}: {} weights are not part of this network ({})", what, unknown.size(),
                join_first(unknown));
  }
  for (auto& item : parameters) {
    const Tensor& value = weights.at(item.key());
    check_shape(value, shape_of(item.value()), what + ": " + item.key());
    set_weight(item.value(), value, target);
    if (target.after_copy) target.after_copy(value);
  }
}

}  // namespace fourstep
