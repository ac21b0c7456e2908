// The random numbers of base against those of the reference programs: tests/golden/noise.json.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/image_noise.h"
#include "base/noise.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using nlohmann::json;
using testing::max_absolute_error;
using testing::numbers;
using testing::to_doubles;

// The reference draws are float32, and torch builds may differ in their last bits.
constexpr double kTolerance = 1e-6;
constexpr double kSumTolerance = 2e-3;
// Columns that are all but opposite are divided by a small sine, which enlarges the last bits of
// float32.
constexpr double kSlerpTolerance = 1e-5;

uint64_t seed_of(const json& value) { return std::stoull(value.get<std::string>()); }

std::vector<double> first(const Tensor& tensor, size_t n) {
  auto values = to_doubles(tensor);
  values.resize(std::min(n, values.size()));
  return values;
}

void expect_close(const Tensor& tensor, const json& expected, double tolerance = kTolerance) {
  const auto want = numbers(expected);
  EXPECT_LE(max_absolute_error(first(tensor, want.size()), want), tolerance);
}

double sum_of(const Tensor& tensor) { return tensor.to(torch::kFloat64).sum().item<double>(); }

void check_philox_randn(const json& c) {
  const NoiseSource noise = make_philox_noise(seed_of(c["seed"]));
  const auto draws = numbers(c["offsets"]);
  for (size_t i = 0; i < draws.size(); ++i) {
    ASSERT_EQ(draws[i], i) << "draws are listed in order";
    expect_close(noise({c["n"].get<int64_t>()}), c["values"][i]);
  }
}

void check_philox_words(const json& c) {
  const auto& expected = c["words_g0_g1_g2_g3"];
  for (size_t i = 0; i < expected.size(); ++i) {
    const auto words = philox_words(seed_of(c["seed"]), c["offset"].get<uint32_t>(),
                                    c["indices"][i].get<uint32_t>());
    EXPECT_EQ(words, (expected[i].get<std::array<uint32_t, 4>>()));
  }
}

void check_philox_latent(const json& c) {
  const Tensor noise = make_philox_noise(seed_of(c["seed"]))(c["shape"].get<Shape>());
  expect_close(noise, c["first8"]);
  const Tensor flat = noise.flatten();
  for (const auto& [index, value] : c["at_flat_index"].items()) {
    EXPECT_NEAR(flat[std::stoll(index)].item<double>(), value.get<double>(), kTolerance);
  }
  EXPECT_NEAR(sum_of(noise), c["sum_f64"].get<double>(), kSumTolerance);
  EXPECT_NEAR(sum_of(noise * noise), c["sumsq_f64"].get<double>(), 10 * kSumTolerance);
}

void check_torch_randn(const json& c) {
  const Shape shape = c["shape"].get<Shape>();
  const NoiseSource noise = make_torch_noise(seed_of(c["seed"]));
  const Tensor draw = noise(shape);
  expect_close(draw, c["first"]);
  EXPECT_NEAR(sum_of(draw), c["sum_f64"].get<double>(), kSumTolerance);
  if (c.contains("second_draw_first8")) expect_close(noise(shape), c["second_draw_first8"]);
}

/// ComfyUI draws a batch at once, or image by image when it keeps some of them only: one stream
/// either way.
void check_comfyui_prepare_noise(const json& c) {
  Shape shape = c["shape"].get<Shape>();
  std::vector<int64_t> kept = {0, 1};
  if (!c["batch_index"].is_null()) kept = c["batch_index"].get<std::vector<int64_t>>();
  shape[0] = 1;
  const NoiseSource noise = make_torch_noise(seed_of(c["seed"]));
  std::vector<Tensor> drawn;
  for (int64_t i = 0; i <= *std::max_element(kept.begin(), kept.end()); ++i) {
    drawn.push_back(noise(shape));
  }
  for (size_t i = 0; i < kept.size(); ++i) {
    expect_close(drawn[kept[i]], c[fmt::format("item{}_first8", i)]);
  }
}

/// The case is of a ComfyUI that started the steps at the seed itself; a later one does so at seed
/// + 1.
void check_comfyui_step_noise(const json& c) {
  ASSERT_TRUE(c["equals_initial_noise"].get<bool>());
  const ImageSeed seed{.seed = seed_of(c["seed"]) - 1, .ensd = kComfyStepSeedDelta};
  const NoiseSource noise = make_image_noise(seed);
  const Shape shape = c["shape"].get<Shape>();
  noise(shape);
  expect_close(noise(shape), c["draw1_first8"]);
  expect_close(noise(shape), c["draw2_first8"]);
}

std::vector<ImageSeed> image_seeds_of(const json& c) {
  const json& args = c["args"];
  std::vector<ImageSeed> seeds;
  for (const auto& text : c["seeds"]) {
    ImageSeed seed;
    seed.seed = seed_of(text);
    seed.origin = c["source"] == "NV" ? NoiseOrigin::kPhilox : NoiseOrigin::kTorch;
    seed.ensd = c["ensd"];
    seed.variation_strength = args.value("subseed_strength", 0.0);
    const json subseeds = args.value("subseeds", json::array());
    if (seeds.size() < subseeds.size()) seed.variation_seed = seed_of(subseeds[seeds.size()]);
    seed.resize_from_width = args.value("seed_resize_from_w", 0);
    seed.resize_from_height = args.value("seed_resize_from_h", 0);
    seeds.push_back(seed);
  }
  return seeds;
}

void check_image_rng(const json& c) {
  const auto seeds = image_seeds_of(c);
  Shape shape = c["shape"].get<Shape>();
  shape.insert(shape.begin(), static_cast<int64_t>(seeds.size()));
  const NoiseSource noise = make_image_noise(seeds);
  const bool is_varied = seeds.front().variation_strength != 0;
  for (const auto& draw : c["draws"]) {
    const Tensor batch = noise(shape);
    for (size_t i = 0; i < seeds.size(); ++i) {
      expect_close(batch[static_cast<int64_t>(i)], draw[i],
                   is_varied ? kSlerpTolerance : kTolerance);
    }
  }
}

Tensor tensor_of(const json& list, const Shape& shape) {
  return torch::tensor(numbers(list), torch::kFloat64).reshape(shape);
}

void check_slerp(const json& c) {
  const Shape shape = c["shape"].get<Shape>();
  const Tensor mixed = slerp(c["val"], tensor_of(c["low"], shape), tensor_of(c["high"], shape));
  EXPECT_LE(max_absolute_error(to_doubles(mixed), numbers(c["out"])), 1e-12);
}

void check_brownian_noise(const json& c) {
  constexpr double kBrownianTolerance = 2e-6;
  const BrownianPath path{0, c["sigma_min"], c["sigma_max"]};
  const Shape shape = c["shape"].get<Shape>();
  std::vector<BrownianPath> paths;
  for (const auto& text : c["seed"].is_array() ? c["seed"] : json::array({c["seed"]})) {
    paths.push_back(path);
    paths.back().seed = seed_of(text);
  }
  for (const auto& query : c["queries"]) {
    const double from = query["sigma"], to = query["sigma_next"];
    const Tensor noise = c["seed"].is_array() ? brownian_noise(paths, shape, from, to)
                                              : brownian_noise(paths.front(), shape, from, to);
    EXPECT_LE(max_absolute_error(to_doubles(noise), numbers(query["noise"])), kBrownianTolerance);
  }
}

void check_seed_sequence(const json& c) {
  const SeedSequence sequence{seed_of(c["entropy"]), c["spawn_key"].get<std::vector<uint64_t>>(),
                              c["pool_size"].get<size_t>()};
  const auto expected = c["state4_u32"].get<std::vector<uint32_t>>();
  EXPECT_EQ(seed_words(sequence, expected.size()), expected);
}

/// Runs the case; false for a name that no file had when this was written.
bool check_case(const json& c) {
  using Check = void (*)(const json&);
  static const std::map<std::string, Check> kChecks = {
      {"philox_randn", check_philox_randn},
      {"philox_raw_u32", check_philox_words},
      {"philox_latent_1024", check_philox_latent},
      {"torch_cpu_randn_f32", check_torch_randn},
      {"comfyui_prepare_noise", check_comfyui_prepare_noise},
      {"comfyui_default_noise_sampler_cpu", check_comfyui_step_noise},
      {"image_rng", check_image_rng},
      {"slerp_a1111", check_slerp},
      {"slerp_a1111_nearly_equal", check_slerp},
      {"brownian_noise", check_brownian_noise},
      {"numpy_seed_sequence", check_seed_sequence},
  };
  const auto found = kChecks.find(c["name"]);
  if (found == kChecks.end()) return false;
  found->second(c);
  return true;
}

TEST(GoldenNoise, EqualsTheReferencePrograms) {
  const auto golden = testing::load_golden("noise.json");
  if (!golden) GTEST_SKIP() << "noise.json is not there";
  size_t checked = 0, skipped = 0;
  for (const auto& c : (*golden)["cases"]) {
    SCOPED_TRACE(c.dump().substr(0, 160));
    (check_case(c) ? checked : skipped) += 1;
  }
  testing::report_golden("noise.json", checked, skipped);
}

}  // namespace
}  // namespace fourstep
