#include "pipeline/adm_guidance.h"

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

SizeOverSteps size_over_steps(const ResolvedRequest& request, bool negative, torch::Device device) {
  const int64_t width = request.width, height = request.height;
  const auto on_device = [&](const SizeConditioning& size) {
    return size_time_ids(size).to(device);
  };
  if (!is_method_on(request.guidance, "adm_guidance")) {
    const Tensor plain = on_device({height, width, 0, 0, height, width});
    return {plain, plain, 0};
  }
  const std::vector<double>& adm = request.guidance.adm_guidance;
  return {on_device(emphasized_size(width, height, adm[negative ? 1 : 0])),
          on_device(consistent_size(width, height)), adm[2]};
}

}  // namespace fourstep
