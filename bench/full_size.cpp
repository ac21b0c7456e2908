// One UNet call and one VAE decode of a full-size SDXL checkpoint: outputs for comparison, seconds, memory.
// bench/full_size.py runs this and diffusers on the same file and prints the table.
// Usage: full_size CHECKPOINT DEVICE fp32|bf16|fp16 OUT.safetensors RUNS SIDE...

#include <ATen/DeviceAccelerator.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/safetensors.h"
#include "pipeline/models.h"
#include "pipeline/precision.h"
#include "stopwatch.h"

namespace {

using namespace fourstep;

/// The inputs that bench/full_size.py draws as well: torch's CPU generator gives both the same numbers.
struct Inputs {
  UNetInput unet;
  Tensor latent;  ///< of the VAE, unscaled
};

Inputs make_inputs(int64_t side, const torch::Device& device) {
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
  for (Tensor* tensor : {&inputs.unet.x, &inputs.unet.context, &inputs.unet.pooled, &inputs.latent,
                         &inputs.unet.timestep, &inputs.unet.time_ids}) {
    *tensor = tensor->to(device);
  }
  return inputs;
}

/// Seconds and busy cores of the fastest of the runs after a warm-up (with 0 runs the warm-up itself) into `report`.
/// Returns the last result, on the CPU: a run ends when it is there.
Tensor time_fastest(const std::string& name, int runs, const std::function<Tensor()>& work,
                    nlohmann::json& report) {
  double fastest = 1e9;
  Tensor result;
  for (int run = 0; run <= runs; ++run) {
    const Stopwatch watch;
    result = work().to(torch::kCPU, torch::kFloat32);
    const double seconds = watch.seconds();
    if ((run == 0 && runs > 0) || seconds >= fastest) continue;
    fastest = seconds;
    report[name + "_cores"] = watch.cores_busy();
  }
  report[name] = fastest;
  return result;
}

/// Of the process, or of what was allocated on its GPU.
double peak_gigabytes(const torch::Device& device) {
  if (!device.is_cpu()) {
    constexpr size_t kAllTogether = 0;  // beside statistics by size of allocation
    return static_cast<double>(
               at::accelerator::getDeviceStats(device.index()).allocated_bytes[kAllTogether].peak) /
           1e9;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1e6;
}

void run(const FileSettings& files, const Placement& placement, const std::string& out, int runs,
         const std::vector<int64_t>& sides) {
  const torch::NoGradGuard no_grad;
  const torch::Device device = placement.device;
  Models models(files, placement);
  const Stopwatch loading;
  UNet unet = models.unet({});
  nlohmann::json report;
  report["load_seconds"] = loading.seconds();
  report["loaded_gigabytes"] = peak_gigabytes(device);
  NamedTensors outputs;
  for (const int64_t side : sides) {
    const Inputs inputs = make_inputs(side, device);
    const std::string name = fmt::format("unet_{}", side);
    outputs[name] = time_fastest(
        name, runs, [&] { return unet->forward(inputs.unet); }, report);
  }
  report["unet_gigabytes"] = peak_gigabytes(device);
  Vae vae = models.image_codec({}).vae;
  for (const int64_t side : sides) {
    const Inputs inputs = make_inputs(side, device);
    const std::string name = fmt::format("vae_{}", side);
    outputs[name] = time_fastest(
        name, runs, [&] { return vae->decode(inputs.latent); }, report);
  }
  report["peak_gigabytes"] = peak_gigabytes(device);
  write_safetensors(out, outputs);
  fmt::print("{}\n", report.dump());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) {
    fmt::print(stderr,
               "usage: full_size CHECKPOINT DEVICE fp32|bf16|fp16 OUT.safetensors RUNS SIDE...\n");
    return 2;
  }
  try {
    forbid_tf32();
    std::vector<int64_t> sides;
    for (int i = 6; i < argc; ++i) sides.push_back(std::stoll(argv[i]));
    const torch::Device device = device_from_text(argv[2]);
    const torch::Dtype dtype = network_dtype(argv[3], device);
    run(FileSettings{.model = argv[1]}, {device, dtype, dtype}, argv[4], std::stoi(argv[5]), sides);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
