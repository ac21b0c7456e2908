#include "layers/linear.h"

#include <ATen/Context.h>

namespace fourstep {

namespace {

/// libtorch sends 1x1 convolutions of one thread to oneDNN only from this many images on.
constexpr int64_t kImages = 16;

bool is_for_onednn(const Tensor& x, const Tensor& weight) {
  return x.device().is_cpu() && x.scalar_type() == torch::kFloat32 &&
         weight.scalar_type() == torch::kFloat32 && x.size(-1) > 1 && x.numel() > x.size(-1) &&
         at::globalContext().hasMKLDNN() && at::globalContext().userEnabledMkldnn();
}

}  // namespace

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

}  // namespace fourstep
