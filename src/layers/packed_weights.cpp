#include "layers/packed_weights.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include "base/processor.h"
#include "layers/layers.h"

namespace fourstep {

namespace {

// The shapes these hints stand for (SDXL at 512x512) get the fastest format; others work with it
// too.
constexpr int64_t kTypicalRows = 1024;
constexpr int64_t kTypicalSide = 32;

using Scalars = c10::List<std::optional<at::Scalar>>;

template <typename Signature>
c10::TypedOperatorHandle<Signature> find_operator(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

std::optional<Tensor> optional_of(const Tensor& tensor) {
  return tensor.defined() ? std::optional<Tensor>(tensor) : std::nullopt;
}

Tensor reorder_linear(const Tensor& weight) {
  static const auto op = find_operator<Tensor(const Tensor&, std::optional<int64_t>)>(
      "mkldnn::_reorder_linear_weight");
  return op.call(weight, kTypicalRows);
}

Tensor reorder_conv2d(const Tensor& weight, const Conv2dOptions& options) {
  static const auto op = find_operator<Tensor(const Tensor&, at::IntArrayRef, at::IntArrayRef,
                                              at::IntArrayRef, int64_t, at::OptionalIntArrayRef)>(
      "mkldnn::_reorder_convolution_weight");
  const std::array<int64_t, 2> padding{options.padding, options.padding},
      stride{options.stride, options.stride}, dilation{1, 1};
  const std::array<int64_t, 4> input{1, weight.size(1), kTypicalSide, kTypicalSide};
  return op.call(weight, padding, stride, dilation, 1, input);
}

bool can_pack(const Tensor& weight) {
  return weight.device().is_cpu() && weight.scalar_type() == torch::kBFloat16 &&
         !is_placeholder(weight) && has_avx512_bf16();
}

template <typename Layer>
void pack(Layer& layer, const Tensor& packed) {
  layer.packed = packed;
  layer.weight.set_data(placeholder(shape_of(layer.weight), torch::kBFloat16));
}

}  // namespace

void pack_weights(torch::nn::Module& module) {
  if (!at::hasMKLDNN()) return;
  const torch::NoGradGuard no_grad;
  for (const auto& part : module.modules()) {
    if (auto* linear = part->as<LinearImpl>(); linear && can_pack(linear->weight)) {
      pack(*linear, reorder_linear(linear->weight));
    } else if (auto* conv = part->as<Conv2dImpl>(); conv && can_pack(conv->weight)) {
      pack(*conv, reorder_conv2d(conv->weight, conv->options));
    }
  }
}

Tensor packed_linear(const Tensor& x, const Tensor& packed, const Tensor& bias) {
  static const auto op =
      find_operator<Tensor(const Tensor&, const Tensor&, const std::optional<Tensor>&,
                           c10::string_view, Scalars, std::optional<c10::string_view>)>(
          "mkldnn::_linear_pointwise");
  return op.call(x, packed, optional_of(bias), "none", Scalars(), "");
}

Tensor packed_conv2d(const Tensor& x, const Tensor& packed, const Tensor& bias, int64_t stride,
                     int64_t padding) {
  static const auto op = find_operator<Tensor(
      const Tensor&, const Tensor&, const std::optional<Tensor>&, at::IntArrayRef, at::IntArrayRef,
      at::IntArrayRef, int64_t, c10::string_view, Scalars, std::optional<c10::string_view>)>(
      "mkldnn::_convolution_pointwise");
  const std::array<int64_t, 2> paddings{padding, padding}, strides{stride, stride}, dilation{1, 1};
  return op.call(x, packed, optional_of(bias), paddings, strides, dilation, 1, "none", Scalars(),
                 "");
}

}  // namespace fourstep
