#include "layers/layers.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

/// In double, where the function takes libtorch's own path.
struct Expected {
  Tensor y, x_grad, weight_grad, bias_grad;
};

struct Case {
  Tensor x, weight, bias;
};

Case make_case(const Shape& shape, int64_t out, bool with_bias) {
  torch::manual_seed(1);
  Case one{torch::randn(shape), torch::randn({out, shape.back()}), {}};
  if (with_bias) one.bias = torch::randn({out}).requires_grad_(true);
  one.x.requires_grad_(true);
  one.weight.requires_grad_(true);
  return one;
}

Expected expected_of(const Case& one) {
  const auto twin = [](const Tensor& tensor) {
    return tensor.defined() ? tensor.detach().to(torch::kFloat64).requires_grad_(true) : Tensor();
  };
  const Case exact{twin(one.x), twin(one.weight), twin(one.bias)};
  const Tensor y = at::linear(exact.x, exact.weight, exact.bias);
  y.square().sum().backward();
  return {y, exact.x.grad(), exact.weight.grad(),
          exact.bias.defined() ? exact.bias.grad() : Tensor()};
}

void expect_close(const Tensor& got, const Tensor& expected, const char* what) {
  const Tensor difference = got.detach().to(torch::kFloat64) - expected.detach();
  EXPECT_LT((difference.norm() / expected.detach().norm()).item<double>(), 1e-6) << what;
}

TEST(Linear, AgreesWithTheProductInDoubleAndSoDoGradients) {
  const std::pair<Shape, int64_t> cases[] = {{{4, 77, 64}, 128},  {{32, 24}, 8},
                                             {{3, 5, 7}, 11},     {{2, 3}, 5},
                                             {{1, 16, 640}, 320}, {{5, 1, 2}, 1}};
  for (const auto& [shape, out] : cases) {
    for (const bool with_bias : {true, false}) {
      SCOPED_TRACE(fmt::format("{} to {}, bias {}", to_string(shape), out, with_bias));
      const Case one = make_case(shape, out, with_bias);
      const Expected expected = expected_of(one);
      const Tensor y = linear_product(one.x, one.weight, one.bias);
      Shape result = shape;
      result.back() = out;
      ASSERT_EQ(shape_of(y), result);
      EXPECT_TRUE(y.is_contiguous());
      expect_close(y, expected.y, "result");
      y.square().sum().backward();
      expect_close(one.x.grad(), expected.x_grad, "gradient of x");
      expect_close(one.weight.grad(), expected.weight_grad, "gradient of the weight");
      if (with_bias) expect_close(one.bias.grad(), expected.bias_grad, "gradient of the bias");
    }
  }
}

TEST(Linear, TakesVectorsEmptyBatchesAndOtherTypes) {
  const Tensor weight = torch::ones({3, 2});
  EXPECT_TRUE(torch::equal(linear_product(torch::ones({2}), weight), torch::full({3}, 2.f)));
  EXPECT_EQ(shape_of(linear_product(torch::ones({0, 2}), weight)), (Shape{0, 3}));
  EXPECT_EQ(shape_of(linear_product(torch::ones({4, 1}), torch::ones({3, 1}))), (Shape{4, 3}));
  const Tensor half =
      linear_product(torch::ones({4, 2}, torch::kBFloat16), weight.to(torch::kBFloat16));
  EXPECT_EQ(half.scalar_type(), torch::kBFloat16);
}

TEST(Linear, TakesRowsThatAreNotContiguous) {
  const Tensor x = torch::randn({8, 6, 4}).transpose(0, 1), weight = torch::randn({5, 4});
  EXPECT_TRUE(at::allclose(linear_product(x, weight), at::linear(x, weight), 1e-5, 1e-6));
}

}  // namespace
}  // namespace fourstep
