#include "base/noise.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
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

uint64_t seed_of(const json& value) { return std::stoull(value.get<std::string>()); }

std::vector<double> first(const Tensor& tensor, size_t n) {
  auto values = to_doubles(tensor);
  values.resize(std::min(n, values.size()));
  return values;
}

void expect_close(const Tensor& tensor, const json& expected) {
  const auto want = numbers(expected);
  EXPECT_LE(max_absolute_error(first(tensor, want.size()), want), kTolerance);
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

void check_comfyui_prepare_noise(const json& c) {
  const NoiseSource noise = make_torch_noise(seed_of(c["seed"]));
  Shape shape = c["shape"].get<Shape>();
  Tensor batch;
  if (c["batch_index"].is_null()) {
    batch = noise(shape);
  } else {  // images are drawn one by one, and those asked for are kept
    const auto indices = c["batch_index"].get<std::vector<int64_t>>();
    shape[0] = 1;
    std::vector<Tensor> drawn, kept;
    for (int64_t i = 0; i <= *std::max_element(indices.begin(), indices.end()); ++i) {
      drawn.push_back(noise(shape));
    }
    for (const int64_t index : indices) kept.push_back(drawn[index]);
    batch = torch::cat(kept);
  }
  expect_close(batch[0], c["item0_first8"]);
  expect_close(batch[1], c["item1_first8"]);
  EXPECT_NEAR(sum_of(batch), c["sum_f64"].get<double>(), 1e-4);
}

void check_comfyui_step_noise(const json& c) {
  const NoiseSource noise = make_torch_noise(seed_of(c["seed"]));
  expect_close(noise(c["shape"].get<Shape>()), c["draw1_first8"]);
  expect_close(noise(c["shape"].get<Shape>()), c["draw2_first8"]);
}

void check_image_rng(const json& c) {
  std::vector<NoiseSource> sources;
  for (const auto& seed : c["seeds"]) {
    sources.push_back(c["source"] == "NV" ? make_philox_noise(seed_of(seed))
                                          : make_torch_noise(seed_of(seed)));
  }
  Shape shape = c["shape"].get<Shape>();
  shape.insert(shape.begin(), static_cast<int64_t>(sources.size()));
  const NoiseSource noise = make_batch_noise(sources);
  for (const auto& draw : c["draws"]) {
    const Tensor batch = noise(shape);
    for (size_t i = 0; i < sources.size(); ++i) expect_close(batch[i], draw[i]);
  }
}

/// Runs the case when noise.h covers it: variations, seed offsets and resized seeds are made elsewhere.
bool check_case(const json& c) {
  const std::string name = c["name"];
  if (name == "philox_randn") {
    check_philox_randn(c);
  } else if (name == "philox_raw_u32") {
    check_philox_words(c);
  } else if (name == "philox_latent_1024") {
    check_philox_latent(c);
  } else if (name == "torch_cpu_randn_f32") {
    check_torch_randn(c);
  } else if (name == "comfyui_prepare_noise") {
    check_comfyui_prepare_noise(c);
  } else if (name == "comfyui_default_noise_sampler_cpu") {
    check_comfyui_step_noise(c);
  } else if (name == "image_rng" && c["ensd"] == 0 && c["args"].empty()) {
    check_image_rng(c);
  } else {
    return false;
  }
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
  EXPECT_GT(checked, 0u);
}

TEST(TorchNoise, UsesTheLow32BitsOfTheSeed) {
  const Shape shape = {1, 4, 8, 8};
  EXPECT_TRUE(torch::equal(make_torch_noise(7)(shape), make_torch_noise((9ull << 32) + 7)(shape)));
  EXPECT_FALSE(torch::equal(make_torch_noise(7)(shape), make_torch_noise(8)(shape)));
}

TEST(TorchNoise, LeavesTheGlobalGeneratorAlone) {
  torch::manual_seed(5);
  const Tensor before = torch::randn({16});
  torch::manual_seed(5);
  make_torch_noise(1)({4, 4, 4});
  EXPECT_TRUE(torch::equal(torch::randn({16}), before));
}

TEST(PhiloxNoise, UsesAll64BitsOfTheSeed) {
  const Shape shape = {64};
  EXPECT_FALSE(
      torch::equal(make_philox_noise(7)(shape), make_philox_noise((9ull << 32) + 7)(shape)));
}

TEST(PhiloxNoise, HasUnitNormalMoments) {
  const Tensor noise = make_philox_noise(3)({4, 128, 128});
  EXPECT_NEAR(noise.mean().item<double>(), 0, 0.02);  // five standard errors
  EXPECT_NEAR(noise.std().item<double>(), 1, 0.014);
}

TEST(PhiloxNoise, CopiesContinueOneStream) {
  const NoiseSource noise = make_philox_noise(11), copy = noise;
  const NoiseSource alone = make_philox_noise(11);
  noise({8});
  alone({8});
  EXPECT_TRUE(torch::equal(copy({8}), alone({8})));
}

TEST(BatchNoise, ImageEqualsTheSingleRunWithItsSeed) {
  const NoiseSource batch = make_batch_noise({make_torch_noise(1), make_philox_noise(2)});
  const NoiseSource one = make_torch_noise(1), two = make_philox_noise(2);
  for (int draw = 0; draw < 2; ++draw) {
    const Tensor noise = batch({2, 4, 8, 8});
    EXPECT_TRUE(torch::equal(noise.narrow(0, 0, 1), one({1, 4, 8, 8})));
    EXPECT_TRUE(torch::equal(noise.narrow(0, 1, 1), two({1, 4, 8, 8})));
  }
}

TEST(BatchNoise, RefusesAnotherBatchSize) {
  const NoiseSource batch = make_batch_noise({make_torch_noise(1), make_torch_noise(2)});
  EXPECT_THROW(batch({3, 4, 8, 8}), Error);
  EXPECT_THROW(batch({}), Error);
}

}  // namespace
}  // namespace fourstep
