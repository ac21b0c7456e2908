#include "guidance/adm_guidance.h"

#include <cmath>

namespace fourstep {

int64_t rounded_to_64(int64_t side) {
  return 64 * static_cast<int64_t>(std::nearbyint(static_cast<double>(side) / 64));
}

SizeConditioning emphasized_size(int64_t width, int64_t height, double factor) {
  SizeConditioning size = consistent_size(width, height);
  size.original_height = static_cast<int64_t>(static_cast<double>(height) * factor);
  size.original_width = static_cast<int64_t>(static_cast<double>(width) * factor);
  return size;
}

SizeConditioning consistent_size(int64_t width, int64_t height) {
  const int64_t w = rounded_to_64(width), h = rounded_to_64(height);
  return {h, w, 0, 0, h, w};
}

bool is_emphasized(double timestep, double share) { return timestep > 999 * (1 - share); }

ToldSizes told_sizes(const AdmGuidanceOptions& options, int64_t width, int64_t height,
                     torch::Device device) {
  const auto on_device = [&](const SizeConditioning& size) {
    return size_time_ids(size).to(device);
  };
  if (!options.is_on()) {
    const Tensor plain = on_device({height, width, 0, 0, height, width});
    return {{plain, plain, 0}, {plain, plain, 0}};
  }
  const std::vector<double>& adm = options.factors;
  const Tensor late = on_device(consistent_size(width, height));
  return {{on_device(emphasized_size(width, height, adm[0])), late, adm[2]},
          {on_device(emphasized_size(width, height, adm[1])), late, adm[2]}};
}

}  // namespace fourstep
