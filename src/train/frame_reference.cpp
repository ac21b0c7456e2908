#include "train/frame_reference.h"

#include "base/error.h"
#include "nets/resblock.h"

namespace fourstep {

namespace {

constexpr int64_t kMostPerGroup = 4;
constexpr double kVariance = 3;      // of the frame over the map: that of a lively channel
constexpr double kConstantBias = 2;  // in front of the SiLU

const Tensor& at_name(const NamedTensors& parameters, const std::string& name) {
  const auto found = parameters.find(name);
  if (found == parameters.end()) throw Error("frame reference: the network has no \"{}\"", name);
  return found->second;
}

/// The last channel of each group.
Tensor frame_channels(int64_t channels) {
  const int64_t per_group = channels / kNormGroups;
  return at::arange(per_group - 1, channels, per_group, at::TensorOptions(torch::kInt64));
}

void clear_rows(const NamedTensors& parameters, const std::string& layer, const Tensor& rows) {
  at_name(parameters, layer + ".weight").index_fill_(0, rows, 0);
  at_name(parameters, layer + ".bias").index_fill_(0, rows, 0);
}

/// Zero over a constant, and over a constant that ends at a straight border 3.
Tensor laplacian() {
  const Tensor kernel = at::full({3, 3}, -1.0);
  kernel[1][1] = 8;
  return kernel;
}

/// Strength of a frame one pixel wide that has kVariance over a map of this side.
double frame_strength(int64_t side) {
  const auto n = static_cast<double>(side);
  const double share = 4 * (n - 1) / (n * n);
  return std::sqrt(kVariance / (share * (1 - share)));
}

}  // namespace

void add_frame_reference(const NamedTensors& parameters, const FramePlace& place) {
  const std::string norm2 = place.last_resnet + ".norm2", conv2 = place.last_resnet + ".conv2";
  const Tensor& weight = at_name(parameters, conv2 + ".weight");
  const int64_t per_group = weight.size(0) / kNormGroups;
  if (per_group < 2 || per_group > kMostPerGroup) return;
  const Tensor frames = frame_channels(weight.size(0));
  for (const std::string& writer : place.writers) clear_rows(parameters, writer, frames);
  clear_rows(parameters, conv2, frames);

  // A channel inside the resnet that is the same everywhere.
  const int64_t constant = weight.size(1) - 1;
  at_name(parameters, norm2 + ".weight")[constant].fill_(0);
  at_name(parameters, norm2 + ".bias")[constant].fill_(kConstantBias);
  const double height = kConstantBias / (1 + std::exp(-kConstantBias));
  weight.select(1, constant).fill_(0);
  weight.select(1, constant)
      .index_copy_(0, frames,
                   (laplacian() * (frame_strength(place.side) / (3 * height)))
                       .expand({frames.size(0), 3, 3}));
  at_name(parameters, place.conv_out + ".weight").index_fill_(1, frames, 0);
}

}  // namespace fourstep
