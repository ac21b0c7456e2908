#include "nets/embeddings.h"

#include <cmath>

namespace fourstep {

Tensor sinusoidal_embedding(const Tensor& values, int64_t width) {
  const int64_t half = width / 2;
  const auto options = torch::dtype(torch::kFloat32).device(values.device());
  const Tensor frequencies = at::exp(at::arange(half, options) * (-std::log(10000.0) / half));
  const Tensor angles = values.to(torch::kFloat32).unsqueeze(-1) * frequencies;
  return at::cat({at::cos(angles), at::sin(angles)}, -1);
}

EmbeddingMlpImpl::EmbeddingMlpImpl(int64_t in_width, int64_t out_width) {
  linear_1 = register_module("linear_1", Linear(in_width, out_width));
  linear_2 = register_module("linear_2", Linear(out_width, out_width));
}

Tensor EmbeddingMlpImpl::forward(const Tensor& x) { return linear_2(at::silu(linear_1(x))); }

}  // namespace fourstep
