#include "inspect/noise_view.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/image_noise.h"
#include "io/fields_json.h"
#include "io/hashes.h"
#include "pipeline/sampling_plan.h"

namespace fourstep {

namespace {

constexpr int64_t kShown = 8;

std::string_view bytes_of(const Tensor& noise) {
  return {static_cast<const char*>(noise.const_data_ptr()), noise.nbytes()};
}

NoiseView view_of_noise(const ImageSeed& seed, const Shape& shape) {
  const Tensor noise = make_image_noise(seed)(shape).contiguous();
  const Tensor exact = noise.to(torch::kFloat64).flatten();
  NoiseView view{seed.seed,
                 shape,
                 {},
                 exact.mean().item<double>(),
                 exact.std().item<double>(),
                 sha256_of(bytes_of(noise))};
  const double* numbers = exact.const_data_ptr<double>();
  view.first.assign(numbers, numbers + std::min(kShown, exact.numel()));
  return view;
}

}  // namespace

std::vector<NoiseView> view_noise(const ResolvedRequest& request) {
  std::vector<NoiseView> views;
  for (const ImageSeed& seed : image_seeds(request)) {
    views.push_back(view_of_noise(seed, {1, 4, request.height / 8, request.width / 8}));
  }
  return views;
}

Table noise_table(const std::vector<NoiseView>& views) {
  Table table{{{"seed", Align::kRight},
               {"shape"},
               {"first numbers"},
               {"mean", Align::kRight},
               {"deviation", Align::kRight},
               {"SHA-256 of the fp32 bytes"}},
              {}};
  for (const NoiseView& view : views) {
    table.rows.push_back({std::to_string(view.seed), fmt::format("{}", fmt::join(view.shape, "x")),
                          fmt::format("{:.4f}", fmt::join(view.first, " ")),
                          fmt::format("{:.6f}", view.mean), fmt::format("{:.6f}", view.deviation),
                          view.sha256.value_or("-")});
  }
  return table;
}

nlohmann::ordered_json json_from(const NoiseView& view) {
  return {{"seed", view.seed}, {"shape", view.shape},         {"first", view.first},
          {"mean", view.mean}, {"deviation", view.deviation}, {"sha256", json_from(view.sha256)}};
}

}  // namespace fourstep
