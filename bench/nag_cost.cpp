// What normalized attention guidance costs: one UNet call of full SDXL shapes, random weights in memory, plain, with
// NAG, and on the doubled batch that a negative prompt costs with CFG. The three take turns, so that other work on the
// machine hits them alike.
// Usage: nag_cost fp32|bf16 SIDE ROUNDS

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "layers/packed_weights.h"
#include "nets/unet.h"

namespace {

using namespace fourstep;

UNetConfig sdxl_config() {
  UNetConfig config;
  config.levels = {
      {.channels = 320, .heads = 5, .down_depth = {0, 0}, .up_depth = {0, 0, 0}},
      {.channels = 640, .heads = 10, .down_depth = {2, 2}, .up_depth = {2, 2, 2}},
      {.channels = 1280, .heads = 20, .down_depth = {10, 10}, .up_depth = {10, 10, 10}}};
  return config;
}

/// The same numbers over and over: only their size matters for time, and drawing 2.6 billion takes minutes.
Tensor random_weight(const Shape& shape, const Tensor& numbers, torch::Dtype dtype) {
  int64_t count = 1;
  for (const int64_t length : shape) count *= length;
  const int64_t fan_in = std::max<int64_t>(count / shape[0], 1);
  const Tensor repeated = numbers.repeat({count / numbers.numel() + 1}).narrow(0, 0, count);
  return (repeated / std::sqrt(static_cast<double>(fan_in))).view(shape).to(dtype);
}

UNet random_unet(torch::Dtype dtype) {
  UNet unet(sdxl_config());
  const Tensor numbers = torch::randn({1 << 20});
  for (auto& item : unet->named_parameters()) {
    Tensor weight = item.value();
    set_weight(weight, random_weight(shape_of(weight), numbers, dtype), {dtype});
  }
  pack_weights(*unet);
  return unet;
}

UNetInput inputs(int64_t side, int64_t batch) {
  const auto s = static_cast<float>(side);
  return {.x = torch::randn({batch, 4, side / 8, side / 8}),
          .timestep = torch::full({batch}, 499.f),
          .context = torch::randn({batch, 77, 2048}),
          .pooled = torch::randn({batch, 1280}),
          .time_ids = torch::tensor({s, s, 0.f, 0.f, s, s}).expand({batch, 6})};
}

double seconds_of(UNet& unet, const UNetInput& input) {
  const auto start = std::chrono::steady_clock::now();
  unet->forward(input);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void run(torch::Dtype dtype, int64_t side, int rounds) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(1);
  UNet unet = random_unet(dtype);
  const UNetInput plain = inputs(side, 1), doubled = inputs(side, 2);
  UNetExtras extras;
  extras.attention_terms = {{torch::randn({1, 77, 2048}), NagGuidance{}}};
  UNetInput guided = plain;
  guided.extras = &extras;
  std::vector<double> plain_s, nag_s, cfg_s;
  for (int round = 0; round <= rounds; ++round) {  // the first warms up
    const double times[] = {seconds_of(unet, plain), seconds_of(unet, guided),
                            seconds_of(unet, doubled)};
    if (round == 0) continue;
    plain_s.push_back(times[0]);
    nag_s.push_back(times[1]);
    cfg_s.push_back(times[2]);
  }
  const double base = median(plain_s);
  fmt::print("UNet call at {0}x{0}, medians of {1} rounds\n", side, rounds);
  fmt::print("plain {:.3f} s\nNAG   {:.3f} s  {:.3f}x\nCFG   {:.3f} s  {:.3f}x\n", base,
             median(nag_s), median(nag_s) / base, median(cfg_s), median(cfg_s) / base);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string dtype = argc == 4 ? argv[1] : "";
  if (dtype != "fp32" && dtype != "bf16") {
    fmt::print(stderr, "usage: nag_cost fp32|bf16 SIDE ROUNDS\n");
    return 2;
  }
  try {
    run(dtype == "bf16" ? torch::kBFloat16 : torch::kFloat32, std::stoll(argv[2]),
        std::max(std::stoi(argv[3]), 1));
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
