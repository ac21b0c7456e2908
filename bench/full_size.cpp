// One UNet call and one VAE decode of a full-size SDXL checkpoint: outputs for comparison, seconds, memory.
// bench/full_size.py runs this and diffusers on the same file and prints the table.
// Usage: full_size CHECKPOINT fp32|bf16|fp16 OUT.safetensors SIDE...

#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/safetensors.h"
#include "pipeline/models.h"
#include "pipeline/precision.h"

namespace {

using namespace fourstep;

constexpr int kRuns = 3;

/// The inputs that bench/full_size.py draws as well: torch's CPU generator gives both the same numbers.
struct Inputs {
  UNetInput unet;
  Tensor latent;  ///< of the VAE, unscaled
};

Inputs make_inputs(int64_t side) {
  torch::manual_seed(static_cast<uint64_t>(side));
  const int64_t cells = side / 8;
  const auto s = static_cast<float>(side);
  Inputs inputs;
  inputs.unet.x = torch::randn({1, 4, cells, cells});
  inputs.unet.context = torch::randn({1, 77, 2048});
  inputs.unet.pooled = torch::randn({1, 1280});
  inputs.latent = torch::randn({1, 4, cells, cells});
  inputs.unet.timestep = torch::full({1}, 499.f);
  inputs.unet.time_ids = torch::tensor({s, s, 0.f, 0.f, s, s}).view({1, 6});
  return inputs;
}

/// Fastest of the runs after a warm-up, and what the last one returned.
std::pair<double, Tensor> time_fastest(const std::function<Tensor()>& work) {
  double fastest = 1e9;
  Tensor result;
  for (int run = 0; run <= kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    result = work();
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (run > 0) fastest = std::min(fastest, seconds);
  }
  return {fastest, result};
}

double peak_gigabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1e6;
}

void run(const Request& request, torch::Dtype dtype, const std::string& out,
         const std::vector<int64_t>& sides) {
  const torch::NoGradGuard no_grad;
  Models models(request, {torch::kCPU, dtype, dtype});
  models.set_loras({}, false);
  const auto start = std::chrono::steady_clock::now();
  UNet unet = models.unet({});
  nlohmann::json report;
  report["load_seconds"] =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  report["loaded_gigabytes"] = peak_gigabytes();
  NamedTensors outputs;
  for (const int64_t side : sides) {
    const Inputs inputs = make_inputs(side);
    const auto [seconds, output] = time_fastest([&] { return unet->forward(inputs.unet); });
    outputs[fmt::format("unet_{}", side)] = output;
    report[fmt::format("unet_{}", side)] = seconds;
  }
  report["unet_gigabytes"] = peak_gigabytes();
  Vae vae = models.image_codec({}).vae;
  for (const int64_t side : sides) {
    const Inputs inputs = make_inputs(side);
    const auto [seconds, output] = time_fastest([&] { return vae->decode(inputs.latent); });
    outputs[fmt::format("vae_{}", side)] = output;
    report[fmt::format("vae_{}", side)] = seconds;
  }
  report["peak_gigabytes"] = peak_gigabytes();
  write_safetensors(out, outputs);
  fmt::print("{}\n", report.dump());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    fmt::print(stderr, "usage: full_size CHECKPOINT fp32|bf16|fp16 OUT.safetensors SIDE...\n");
    return 2;
  }
  try {
    Request request;
    request.model = argv[1];
    std::vector<int64_t> sides;
    for (int i = 4; i < argc; ++i) sides.push_back(std::stoll(argv[i]));
    run(request, network_dtype(argv[2], torch::kCPU), argv[3], sides);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
