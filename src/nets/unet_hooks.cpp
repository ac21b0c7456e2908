#include "nets/unet_hooks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

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

}  // namespace

TransformerHooks hooks_at(const UNetHooks& hooks, std::string_view layer, int64_t height,
                          int64_t width) {
  TransformerHooks here;
  here.height = height;
  here.width = width;
  if (hooks.nag) here.nag = &*hooks.nag;
  if (layer == "mid") here.self_attention = hooks.middle_attention;
  if (hooks.degraded) {
    const auto& layers = hooks.degraded->layers;
    if (std::any_of(layers.begin(), layers.end(),
                    [&](const std::string& chosen) { return is_within(layer, chosen); })) {
      here.degraded = &*hooks.degraded;
    }
  }
  return here;
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
