// How fast is attention on the shapes of SDXL's UNet, beside libtorch's own kernel in the same run?
// Prints one row per shape: GFLOP/s of both (median of the runs, interleaved) and their ratio.

#include <fmt/format.h>

#include <chrono>

#include <ATen/Parallel.h>

#include "layers/flash_attention.h"
#include "layers/layers.h"

namespace {

using fourstep::Tensor;

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

Tensor libtorch_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads) {
  const auto split = [heads](const Tensor& t) {
    return t.unflatten(-1, {heads, t.size(-1) / heads}).transpose(1, 2);
  };
  return at::scaled_dot_product_attention(split(q), split(k), split(v)).transpose(1, 2).flatten(-2);
}

void measure(int64_t heads, int64_t queries, int64_t keys) {
  const auto draw = [&](int64_t rows) {
    return torch::randn({1, rows, heads * 64}).to(torch::kBFloat16);
  };
  const Tensor q = draw(queries), k = draw(keys), v = draw(keys);
  std::vector<double> ours, libtorch;
  for (int run = 0; run < 7; ++run) {
    ours.push_back(seconds_of([&] { fourstep::attention(q, k, v, heads); }));
    libtorch.push_back(seconds_of([&] { libtorch_attention(q, k, v, heads); }));
  }
  const double gflop = 4e-9 * static_cast<double>(heads * queries * keys * 64);
  fmt::print("{:>5} {:>8} {:>6}  {:>9.0f} {:>9.0f}  {:>6.2f}\n", heads, queries, keys,
             gflop / median(ours), gflop / median(libtorch), median(libtorch) / median(ours));
}

}  // namespace

int main() {
  torch::NoGradGuard no_grad;
  fmt::print("bf16 attention, GFLOP/s, {} threads\n", at::get_num_threads());
  fmt::print("heads  queries   keys   fourstep  libtorch   ratio\n");
  for (const int64_t side : {512, 1024}) {
    const int64_t tokens = (side / 16) * (side / 16);
    measure(10, tokens, tokens);
    measure(20, tokens / 4, tokens / 4);
    measure(10, tokens, 77);
    measure(20, tokens / 4, 77);
  }
}
