#include "train/adapter.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "io/safetensors.h"
#include "lora/fuse.h"
#include "lora/lora_match.h"
#include "support/files.h"
#include "support/golden.h"
#include "support/tiny_model.h"
#include "train/optimizer.h"
#include "train/random.h"

namespace fourstep {
namespace {

Tensor eps_of(UNet unet, Adapter* adapter) {
  const Conditioning cond = testing::tiny_conditioning(2, 1);
  const UNetExtras extras{.adapters = branches_of(adapter)};
  return unet->forward({draw_normal({1, "x", 0}, {2, 4, 8, 8}), torch::tensor({20, 700}),
                        cond.context, cond.pooled, cond.time_ids, &extras});
}

void randomize(const NamedTensors& factors) {
  for (const auto& [name, factor] : factors) {
    factor.copy_(draw_normal({2, name, 0}, shape_of(factor)) * 0.05);
  }
}

TEST(Adapter, BeginsEqualToTheNetworkBitForBit) {
  UNet unet = testing::tiny_unet();
  Adapter adapter(unet, {.rank = 4, .alpha = 8}, 1);
  EXPECT_TRUE(torch::equal(eps_of(unet, &adapter), eps_of(unet, nullptr)));
  randomize(adapter.parameters());
  EXPECT_FALSE(torch::equal(eps_of(unet, &adapter), eps_of(unet, nullptr)));
}

// Kaiming's uniform distribution with a = sqrt 5 has the bound 1/sqrt(fan in).
TEST(Adapter, FactorsBeginAsPefts) {
  UNet unet = testing::tiny_unet();
  const Adapter adapter(unet, {.rank = 16}, 1), other(unet, {.rank = 16}, 2);
  const NamedTensors weights = parameters_of(*unet);
  for (const auto& [name, factor] : adapter.parameters()) {
    EXPECT_EQ(factor.scalar_type(), torch::kFloat32);
    if (name.ends_with(".lora_up.weight")) {
      EXPECT_EQ(factor.abs().max().item<double>(), 0) << name;
      continue;
    }
    const Tensor& weight = weights.at(name.substr(0, name.rfind(".lora_down")) + ".weight");
    const double bound = 1 / std::sqrt(static_cast<double>(weight.numel() / weight.size(0)));
    EXPECT_LE(factor.abs().max().item<double>(), bound * (1 + 1e-6)) << name;
    const double deviation = bound / std::sqrt(3.0), count = static_cast<double>(factor.numel());
    EXPECT_NEAR(factor.std().item<double>(), deviation, 5 * deviation / std::sqrt(2 * count))
        << name;
    EXPECT_FALSE(torch::equal(factor, other.parameters().at(name))) << name;
  }
}

TEST(Adapter, GradientsReachTheFactorsAlone) {
  UNet unet = testing::tiny_unet();
  Adapter adapter(unet, {.rank = 4, .alpha = 8}, 1);
  randomize(adapter.parameters());
  require_gradients(adapter.parameters(), true);
  eps_of(unet, &adapter).square().mean().backward();
  for (const auto& [name, factor] : adapter.parameters()) {
    ASSERT_TRUE(factor.grad().defined()) << name;
    EXPECT_GT(factor.grad().abs().max().item<double>(), 0) << name;
  }
  for (const auto& [name, weight] : parameters_of(*unet)) {
    EXPECT_FALSE(weight.grad().defined()) << name;
  }
}

TEST(Adapter, ABackwardPassKnowsItsOwn) {
  UNet unet = testing::tiny_unet();
  Adapter one(unet, {.rank = 2}, 1), two(unet, {.rank = 3}, 2);
  for (Adapter* adapter : {&one, &two}) {
    randomize(adapter->parameters());
    require_gradients(adapter->parameters(), true);
  }
  const std::string name = one.parameters().begin()->first;
  eps_of(unet, &one).mean().backward();
  const Tensor expected = one.parameters().at(name).grad().clone();
  clear_gradients(one.parameters());
  const Tensor loss = eps_of(unet, &one).mean();
  eps_of(unet, &two);
  loss.backward();
  EXPECT_TRUE(torch::equal(one.parameters().at(name).grad(), expected));
  EXPECT_FALSE(two.parameters().at(name).grad().defined());
}

TEST(Adapter, LeavesNothingBehindWhenTheNetworkThrows) {
  UNet unet = testing::tiny_unet();
  Adapter adapter(unet, {.rank = 4}, 1);
  randomize(adapter.parameters());
  const Tensor base = eps_of(unet, nullptr);
  EXPECT_THROW(
      {
        const UNetExtras extras{.adapters = adapter.branches()};
        UNetInput nothing;
        nothing.extras = &extras;
        unet->forward(nothing);
      },
      Error);
  EXPECT_TRUE(torch::equal(eps_of(unet, nullptr), base));
}

TEST(Adapter, WithoutAnyMatchingLayerIsRefused) {
  const std::string message = testing::message_of<Error>([] {
    Adapter(testing::tiny_unet(), {.rank = 4, .targets = {"to_x", "out"}}, 1);
  });
  EXPECT_EQ(message, "adapter: no layer of the network has a name that ends in to_x, out");
}

TEST(Adapter, TargetsAreWholeEndsOfNames) {
  UNet unet = testing::tiny_unet();
  const Adapter adapter(unet, {.rank = 1, .targets = {"conv"}}, 1);  // not conv_in, not conv1
  for (const auto& [name, factor] : adapter.parameters()) {
    EXPECT_NE(name.find("samplers.0.conv."), std::string::npos) << name;
  }
  EXPECT_EQ(adapter.num_modules(), 2u);
}

// The factors of rank 64 would take 800 MB: those of rank 1 have the same names and, but for the rank, shapes.
TEST(GoldenAdapter, OnSdxlTheFileHasTheKeysOfThePublicLora) {
  const auto golden = testing::load_golden("dmd2_lora_kohya_fp16.json");
  const auto shapes = testing::load_golden("nets_shapes.json");
  if (!golden || !shapes) GTEST_SKIP() << "no list of keys or no shapes";
  const UNet unet(
      unet_config_from_shapes(shapes->at("unet").at("SDXL").get<NamedShapes>(), {}, "SDXL"));
  const Adapter adapter(unet, {.rank = 1, .alpha = 8}, 1);
  EXPECT_EQ(adapter.num_modules(), 788u);
  const NamedTensors file = adapter.exported(adapter.parameters(), torch::kHalf);
  const nlohmann::json& expected = golden->at("tensors");
  EXPECT_EQ(file.size(), expected.size());
  for (const auto& [key, entry] : expected.items()) {
    ASSERT_TRUE(file.count(key)) << key;
    Shape shape = entry[1].get<Shape>();
    if (key.ends_with(".lora_down.weight")) shape.at(0) = 1;
    if (key.ends_with(".lora_up.weight")) shape.at(1) = 1;
    EXPECT_EQ(shape_of(file.at(key)), shape) << key;
    EXPECT_EQ(file.at(key).scalar_type(), torch::kHalf) << key;
    if (key.ends_with(".alpha")) {
      EXPECT_EQ(file.at(key).item<double>(), 8);
    }
  }
  testing::report_golden("dmd2_lora_kohya_fp16.json", file.size(), 0);
}

TEST(Adapter, TheExportedFileFusedIntoTheWeightsGivesTheSameOutput) {
  UNet unet = testing::tiny_unet();
  Adapter adapter(unet, {.rank = 4, .alpha = 2}, 1);
  randomize(adapter.parameters());
  const testing::TemporaryFolder folder;
  write_safetensors(folder.path() / "lora.safetensors",
                    adapter.exported(adapter.parameters(), torch::kFloat32));

  const NamedTensors weights = parameters_of(*unet);
  const LoraFile file = open_lora(folder.path() / "lora.safetensors");
  const LoraMatch match =
      match_lora(file, LoraTargets({{Component::kUnet, shapes_of(weights)}}, {}));
  check_complete(match);
  EXPECT_EQ(match.matched.size(), adapter.num_modules());
  UNet fused = testing::tiny_unet();
  NamedTensors changed = clone_tensors(weights);
  for (const MatchedModule& item : match.matched) {
    fuse_into(changed.at(item.parameter), weights.at(item.parameter), {{item.module, 1}});
  }
  load_weights(*fused, changed, {}, "fused");
  const Tensor adapted = eps_of(unet, &adapter), base = eps_of(unet, nullptr);
  const double error = ((eps_of(fused, nullptr) - adapted).norm() / adapted.norm()).item<double>();
  EXPECT_LT(error, 1e-5);
  EXPECT_GT(((adapted - base).norm() / adapted.norm()).item<double>(), 0.01)
      << "or the test says nothing";
}

}  // namespace
}  // namespace fourstep
