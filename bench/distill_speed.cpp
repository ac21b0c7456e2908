// How fast is one DMD2 iteration, and what does it hold in memory? Random weights in the shape of the shipped model,
// random conditioning; distill_speed.py runs the same in PyTorch beside it.
// Usage: distill_speed shared|separate BATCH ITERATIONS [WIDTH]      prints one line of JSON
// WIDTH: channels of the first level of a UNet with SDXL's depths and context instead (SDXL has 320, 2.57 billion weights).

#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>

#include "base/error.h"
#include "distill/train_step.h"
#include "emoji/small_model.h"
#include "train/random.h"

namespace {

using namespace fourstep;

double peak_megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1e3;
}

Conditioning random_condition(int64_t batch, const UNetConfig& unet, int64_t pooled_width) {
  return {draw_normal({0, "context", 0}, {batch, 77, unet.cross_width}),
          draw_normal({0, "pooled", 0}, {batch, pooled_width}), at::full({batch, 6}, 128.0)};
}

/// The draws of an iteration with the student's step given, so that both programs do the same work.
StepDraws draws_with_step(const DistillConfig& config, int64_t iteration, const Shape& shape) {
  StepDraws draws = draw_step(config, 0, iteration, shape);
  draws.student_step = iteration % static_cast<int64_t>(config.timesteps.size());
  draws.rollout.resize(static_cast<size_t>(draws.student_step) + 1, draws.rollout.front());
  return draws;
}

/// SDXL's proportions; only the UNet takes part.
TrainConfig sdxl_shape(double width) {
  TrainConfig config;
  config.unet_channels = {width, 2 * width, 4 * width};
  config.unet_depths = {0, 2, 10};
  config.text_widths = {768, 1280};
  config.text_layers = 2;
  return config;
}

void run(const std::string& backbone, int64_t batch, int64_t iterations,
         const TrainConfig& model_config) {
  SmallModel model = make_small_model(model_config, {"word"});
  DistillConfig config;
  config.backbone = backbone;
  config.batch = batch;
  config.decoupled = false;
  config.cfg_ramp = 0;
  const Shape shape{batch, 4, 16, 16};
  Distillation d = make_distillation(config, model.unet, {4, 16, 16}, 0);
  const DistillBatch data{random_condition(batch, model.unet->config,
                                           static_cast<int64_t>(model_config.text_widths[1]))};
  std::chrono::steady_clock::time_point start;
  for (int64_t i = -1; i < iterations; ++i) {  // the first one is not counted
    if (i == 0) start = std::chrono::steady_clock::now();
    StepSchedule schedule = schedule_of(config, std::max<int64_t>(i, 0));
    train_step(d, data, draws_with_step(config, std::max<int64_t>(i, 0), shape), schedule);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  int64_t weights = 0;
  for (const Tensor& weight : model.unet->parameters()) weights += weight.numel();
  fmt::print(
      "{{\"seconds_per_iteration\": {:.4f}, \"peak_mb\": {:.0f}, \"million_weights\": {:.1f}}}\n",
      seconds.count() / static_cast<double>(iterations), peak_megabytes(),
      static_cast<double>(weights) / 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    fmt::print(stderr, "usage: distill_speed shared|separate BATCH ITERATIONS [WIDTH]\n");
    return 2;
  }
  try {
    run(argv[1], std::atoll(argv[2]), std::atoll(argv[3]),
        argc == 5 ? sdxl_shape(std::atof(argv[4])) : TrainConfig());
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
