#pragma once
// The noise that images start from, in a form that people can compare with what another program
// draws.

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "report/table.h"
#include "request/resolve.h"

namespace fourstep {

/// Of one image: standard normal, before it is scaled to the first noise level.
struct NoiseView {
  uint64_t seed = 0;
  Shape shape;                ///< [1,4,h,w]
  std::vector<double> first;  ///< the first eight numbers of channel 0, row 0
  double mean = 0;
  double deviation = 0;  ///< with n - 1, as torch.std
  std::optional<std::string>
      sha256;  ///< of the fp32 numbers, little-endian, as they lie in memory; see sha256_of()
};

/// One of each image of the request. Throws InvalidRequest for seeds and sizes that cannot be used.
std::vector<NoiseView> view_noise(const ResolvedRequest& request);

Table noise_table(const std::vector<NoiseView>& views);

nlohmann::ordered_json json_from(const NoiseView& view);

}  // namespace fourstep
