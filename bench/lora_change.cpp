// How long does it take to put a LoRA on a loaded full-size UNet, to change its weight, and to take it off?
// Everything is counted: reading the pristine weights, fusing in fp32, the cast to bf16, oneDNN's reordering.
// Usage: lora_change CHECKPOINT LORA (both from make_random_sdxl)

#include <fmt/format.h>
#include <sys/resource.h>

#include "base/error.h"
#include "pipeline/models.h"
#include "stopwatch.h"

namespace {

using namespace fourstep;

double peak_gigabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1e6;
}

void change(Models& models, const char* what, const std::vector<LoraUse>& loras) {
  const Stopwatch watch;
  models.set_loras(loras, false, {});
  const double seconds = watch.seconds();
  fmt::print("{:<28}{:>6.2f} s   {:.2f} cores busy   peak memory {:.2f} GB\n", what, seconds,
             watch.cores_busy(), peak_gigabytes());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: lora_change CHECKPOINT LORA\n");
    return 2;
  }
  try {
    Models models(FileSettings{.model = argv[1]},
                  {torch::kCPU, torch::kBFloat16, torch::kBFloat16});
    models.unet({});
    const std::string lora = argv[2];
    change(models, "put on at 1.0", {{lora, 1, 1}});
    change(models, "change to 0.7", {{lora, 0.7, 0.7}});
    change(models, "change to -0.85", {{lora, -0.85, -0.85}});
    change(models, "take off", {});
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
