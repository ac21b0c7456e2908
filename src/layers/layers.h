#pragma once
// The few layers all networks here are made of. They differ from torch::nn's in one thing: a new
// layer holds only the shape of its weights, no memory, until load_weights() gives it tensors. A
// full SDXL UNet can so be built in milliseconds, in any dtype, without a first copy.

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <functional>
#include <unordered_map>

#include "base/tensor.h"

namespace fourstep {

namespace nn = torch::nn;

/// A tensor of the given shape with the memory of one number (all strides 0): the state of a
/// parameter before load_weights().
Tensor placeholder(const Shape& shape, torch::Dtype dtype = torch::kFloat32);
bool is_placeholder(const Tensor& tensor);

/// A low-rank change of a layer that is added to its output, not to its weight: y + scale *
/// up(down(x)). Where the weights are frozen and the change is trained, or differs from call to
/// call.
struct LowRankBranch {
  Tensor down;  ///< [r,in], or [r,in,kernel,kernel] with the layer's stride and padding
  Tensor up;    ///< [out,r], or [out,r,1,1]
  double scale = 1;
};

/// The branches of a network by the layer that each belongs to. They go with a call; no layer keeps
/// one.
using Branches = std::unordered_map<const nn::Module*, LowRankBranch>;

/// Null where the layer has none, or `branches` is null.
const LowRankBranch* branch_of(const Branches* branches, const nn::Module& layer);

/// y = x W^T + b. x: [...,in]. Returns [...,out].
struct LinearImpl : nn::Module {
  LinearImpl(int64_t in_features, int64_t out_features, bool with_bias = true);
  Tensor forward(const Tensor& x, const Branches* branches = nullptr);
  Tensor weight;  ///< [out,in]
  Tensor bias;    ///< [out] or undefined
  Tensor packed;  ///< stands in for `weight` after pack_weights()
};
TORCH_MODULE(Linear);

struct Conv2dOptions {
  int64_t kernel = 3;
  int64_t stride = 1;
  int64_t padding = 1;
  bool with_bias = true;
};

/// x: [B,in,h,w], best channels-last. Returns [B,out,h',w'].
struct Conv2dImpl : nn::Module {
  Conv2dImpl(int64_t in_channels, int64_t out_channels, Conv2dOptions options = {});
  Tensor forward(const Tensor& x, const Branches* branches = nullptr);
  Tensor weight;  ///< [out,in,kernel,kernel]
  Tensor bias;    ///< [out] or undefined
  Tensor packed;  ///< stands in for `weight` after pack_weights()
  Conv2dOptions options;
};
TORCH_MODULE(Conv2d);

/// x @ weight^T + bias. x: [...,in], weight: [out,in], bias: [out] or undefined. In fp32 on the CPU
/// it is computed as a 1x1 convolution, since oneDNN's kernels use all of AVX-512 on every make of
/// processor; MKL's, which at::linear takes, do not: forward and backward took twice as long on an
/// AMD EPYC.
Tensor linear_product(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

/// x weight^T + bias + branch(x); branch: null for none. Without gradients, in fp32 and for many
/// rows the branch goes into the weight first, which is less work; so it does in the layers.
Tensor linear_with_branch(const Tensor& x, const Tensor& weight, const Tensor& bias,
                          const LowRankBranch* branch);

/// y + branch(x) for a layer on features; y itself when branch is null. x: [...,in], y: [...,out].
/// Factors of a 1x1 convolution serve too.
Tensor add_branch(const Tensor& y, const Tensor& x, const LowRankBranch* branch);

/// x: [B,C,...]. Returns the same shape and dtype.
struct GroupNormImpl : nn::Module {
  GroupNormImpl(int64_t num_groups, int64_t channels, double eps);
  Tensor forward(const Tensor& x);
  Tensor weight, bias;  ///< [C]
  int64_t num_groups;
  double eps;
};
TORCH_MODULE(GroupNorm);

/// x: [...,C]. Returns the same shape and dtype.
struct LayerNormImpl : nn::Module {
  explicit LayerNormImpl(int64_t channels, double eps = 1e-5);
  Tensor forward(const Tensor& x);
  Tensor weight, bias;  ///< [C]
  double eps;
};
TORCH_MODULE(LayerNorm);

/// ids: [...] int64. Returns [...,width].
struct EmbeddingImpl : nn::Module {
  EmbeddingImpl(int64_t count, int64_t width);
  Tensor forward(const Tensor& ids);
  Tensor weight;  ///< [count,width]
};
TORCH_MODULE(Embedding);

/// Multi-head attention on already projected tensors. q: [B,Lq,C]; k, v: [B,Lk,C]; C = num_heads *
/// head width.
/// Returns [B,Lq,C]: softmax(q k^T / sqrt(head width)) v per head; is_causal masks later positions.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t num_heads,
                 bool is_causal = false);

/// Where weights go, and what happens to each source tensor once it was copied (may be empty):
/// report, or let go of its memory.
struct WeightTarget {
  torch::Dtype dtype = torch::kFloat32;
  torch::Device device = torch::kCPU;
  std::function<void(const Tensor& source)> after_copy = {};
};

/// Gives every parameter of `module` the tensor of the same name, cast to the target's dtype on its
/// device; 4-D weights become channels-last. NaN or infinite weights are not looked for here.
/// what: file and part for messages, "x.safetensors: unet".
/// Throws Error naming the first missing, misshapen or unknown names.
void load_weights(nn::Module& module, const NamedTensors& weights, const WeightTarget& target,
                  const std::string& what);

/// Memory for a weight in the layout that the layers want: 4-D weights channels-last.
Tensor empty_weight(const Shape& shape, const WeightTarget& target);

/// Replaces one parameter's tensor, cast and laid out as load_weights() does.
void set_weight(Tensor& parameter, const Tensor& value, const WeightTarget& target);

}  // namespace fourstep
