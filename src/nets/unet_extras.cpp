#include "nets/unet_extras.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "base/frequency_filter.h"

namespace fourstep {

namespace {

/// Whether `layer` is `chosen`, or below it: "down.1.0" is below "down.1".
bool is_within(std::string_view layer, std::string_view chosen) {
  return layer.starts_with(chosen) &&
         (layer.size() == chosen.size() || layer[chosen.size()] == '.');
}

void add_names(std::vector<std::string>& names, const char* path, size_t block,
               const std::vector<int64_t>& depths) {
  for (size_t i = 0; i < depths.size(); ++i) {
    if (depths[i] > 0) names.push_back(fmt::format("{}.{}.{}", path, block, i));
  }
}

/// Per position: 1 at the sample's lowest mean over channels, `strength` at its highest. [B,1,h,w]
Tensor factor_of_mean(const Tensor& backbone, double strength) {
  const Tensor mean = backbone.mean(1, true);
  const Tensor low = mean.amin({1, 2, 3}, true), high = mean.amax({1, 2, 3}, true);
  return (mean - low) / (high - low) * (strength - 1) + 1;
}

Tensor scale_backbone(const Tensor& backbone, double strength, bool is_version_2) {
  const int64_t half = backbone.size(1) / 2;
  const Tensor first = backbone.narrow(1, 0, half);
  const Tensor scaled =
      is_version_2 ? first * factor_of_mean(backbone, strength) : first * strength;
  return at::cat({scaled, backbone.narrow(1, half, backbone.size(1) - half)}, 1);
}

/// The transform has no half-precision version.
Tensor scale_skip(const Tensor& skip, double strength) {
  const Tensor wide = skip.scalar_type() == torch::kFloat64 ? skip : skip.to(torch::kFloat32);
  return scale_frequencies(wide, {.low = strength}).to(skip.scalar_type());
}

}  // namespace

std::shared_ptr<const UNetExtras> BlockCall::plain_extras() {
  static const UNetExtras kPlain;
  return {std::shared_ptr<void>(), &kPlain};
}

BackboneAndSkip apply_freeu(const BackboneAndSkip& input, const FreeUOptions& options,
                            int64_t model_channels) {
  const int64_t channels = input.backbone.size(1);
  const bool is_first = channels == 4 * model_channels;
  if (!is_first && channels != 2 * model_channels) return input;
  return {scale_backbone(input.backbone, is_first ? options.b1 : options.b2, options.is_version_2),
          scale_skip(input.skip, is_first ? options.s1 : options.s2)};
}

bool is_degraded(const DegradedLayers& degraded, std::string_view name) {
  return std::any_of(degraded.layers.begin(), degraded.layers.end(),
                     [&](const std::string& chosen) { return is_within(name, chosen); });
}

std::vector<std::string> transformer_names(const UNetConfig& config) {
  std::vector<std::string> names;
  const size_t num_levels = config.levels.size();
  for (size_t i = 0; i < num_levels; ++i) add_names(names, "down", i, config.levels[i].down_depth);
  if (config.has_mid_block && config.mid_depth > 0) names.emplace_back("mid");
  for (size_t i = 0; i < num_levels; ++i) {
    add_names(names, "up", i, config.levels[num_levels - 1 - i].up_depth);
  }
  return names;
}

void check_layers(const char* flag, const std::vector<std::string>& layers,
                  const UNetConfig& config) {
  const std::vector<std::string> names = transformer_names(config);
  const auto is_known = [&](const std::string& chosen) {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return is_within(name, chosen); });
  };
  const auto unknown = std::find_if_not(layers.begin(), layers.end(), is_known);
  if (unknown == layers.end() && !layers.empty()) return;
  throw InvalidRequest("{}: \"{}\" is no layer of this UNet; its layers: {}", flag,
                       layers.empty() ? "" : *unknown, fmt::join(names, ", "));
}

}  // namespace fourstep
