#include "lora/fuse.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "io/peft_config.h"
#include "lora/lora_file.h"
#include "support/golden.h"

namespace fourstep {
namespace {

Tensor random(const Shape& shape, int64_t seed) {
  auto generator = torch::make_generator<at::CPUGeneratorImpl>(seed);
  return torch::randn(shape, generator, torch::TensorOptions().dtype(torch::kFloat));
}

WeightedModule low_rank(int64_t out, int64_t in, int64_t rank, int64_t seed, double weight) {
  return {{LowRank{random({rank, in}, seed), random({out, rank}, seed + 1), {}}, {}, {}, {}},
          weight};
}

bool is_same_bits(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.sizes() == b.sizes() &&
         std::memcmp(a.contiguous().data_ptr(), b.contiguous().data_ptr(), a.nbytes()) == 0;
}

Tensor tensor_of(const nlohmann::json& packed) {
  const std::map<std::string, torch::Dtype> types = {{"F32", torch::kFloat},
                                                     {"F16", torch::kHalf},
                                                     {"BF16", torch::kBFloat16},
                                                     {"I64", torch::kLong}};
  Tensor tensor = torch::empty(packed.at("shape").get<Shape>(), types.at(packed.at("dtype")));
  const std::string bytes = testing::decode_base64(packed.at("data"));
  if (bytes.size() != tensor.nbytes()) throw Error("golden tensor of {} bytes", bytes.size());
  std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
  return tensor;
}

LoraFile lora_of(const nlohmann::json& golden) {
  TensorFile file;
  file.path = golden.at("name").get<std::string>();
  for (const auto& [key, value] : golden.at("tensors").items())
    file.tensors[key] = tensor_of(value);
  if (!golden.contains("peft_config")) return parse_lora(file);
  return parse_lora(file, parse_peft_config(golden.at("peft_config"), "golden"));
}

TEST(GoldenLora, MergedWeightsEqualPeftAndTheFormulas) {
  const auto golden = testing::load_golden("lora.json");
  if (!golden) GTEST_SKIP() << "lora.json";
  size_t checked = 0, skipped = 0;
  for (const auto& item : golden->at("cases")) {
    if (item.value("dora_norm", "merged") != "merged") {  // of W alone, as ComfyUI has it
      ++skipped;
      continue;
    }
    const LoraFile lora = lora_of(item);
    ASSERT_EQ(lora.weights.size(), 1U) << item.at("name");
    const Tensor merged = fuse(tensor_of(item.at("weight")),
                               {{lora.weights.begin()->second, item.value("strength", 1.0)}});
    const Tensor expected = tensor_of(item.at("merged"));
    const double error = (merged - expected).abs().max().item<double>();
    EXPECT_LE(error, 2e-6 * std::max(1.0, expected.abs().max().item<double>())) << item.at("name");
    ++checked;
  }
  testing::report_golden("lora.json", checked, skipped);
}

TEST(Fuse, WithoutModulesTheWeightIsCastPlainly) {
  const Tensor w = random({33, 7}, 1).to(torch::kHalf);
  EXPECT_TRUE(is_same_bits(fuse(w, {}), w.to(torch::kFloat)));
  EXPECT_TRUE(is_same_bits(fuse(w, {low_rank(33, 7, 2, 3, 0.0)}), w.to(torch::kFloat)));
}

TEST(Fuse, ManyRowBlocksEqualOneProduct) {
  const Tensor w = random({700, 3000}, 1);
  const WeightedModule a = low_rank(700, 3000, 8, 2, 0.7), b = low_rank(700, 3000, 5, 4, -1.3);
  const auto product = [](const WeightedModule& m) {
    const auto& low = std::get<LowRank>(m.module.weight);
    return torch::mm(low.up.to(torch::kDouble), low.down.to(torch::kDouble)) * m.weight;
  };
  const Tensor expected = w.to(torch::kDouble) + product(a) + product(b);
  EXPECT_LE((fuse(w, {a, b}) - expected).abs().max().item<double>(), 3e-5);
}

TEST(Fuse, WritesIntoAnyTypeAndLayoutWithOneRounding) {
  const Tensor w = random({24, 8, 3, 3}, 1);
  WeightedModule m{{LowRank{random({4, 8, 3, 3}, 2), random({24, 4, 1, 1}, 3), {}}, {}, {}, {}},
                   0.5};
  const Tensor exact = fuse(w, {m});
  Tensor live =
      torch::zeros({24, 8, 3, 3}, torch::kBFloat16).contiguous(at::MemoryFormat::ChannelsLast);
  live.set_requires_grad(true);
  fuse_into(live, w, {m});
  EXPECT_TRUE(live.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(is_same_bits(live.detach(), exact.to(torch::kBFloat16)));
}

TEST(Fuse, TheOrderOfModulesDoesNotChangeABit) {
  const Tensor w = random({64, 48}, 1);
  std::vector<WeightedModule> modules;
  for (int64_t i = 0; i < 5; ++i)
    modules.push_back(low_rank(64, 48, 3, 10 + 2 * i, 0.3 * double(i + 1)));
  const Tensor first = fuse(w, modules);
  for (int i = 0; i < 10; ++i) {
    std::next_permutation(modules.begin(), modules.end(),
                          [](const auto& a, const auto& b) { return a.weight < b.weight; });
    EXPECT_TRUE(is_same_bits(fuse(w, modules), first));
  }
}

TEST(Fuse, TheSameContentTwiceAtHalfWeightIsTheWholeToTheBit) {
  const Tensor w = random({64, 48}, 1);
  const WeightedModule whole = low_rank(64, 48, 4, 7, 1.0), half = low_rank(64, 48, 4, 7, 0.5);
  const WeightedModule copy = low_rank(64, 48, 4, 7, 0.5);
  EXPECT_TRUE(is_same_bits(fuse(w, {half, copy}), fuse(w, {whole})));
  WeightedModule minus = whole;
  minus.weight = -1.0;
  EXPECT_TRUE(is_same_bits(fuse(w, {whole, minus}), w));
}

TEST(Fuse, DoraIsOrderFreeAndAddsItsOwnChange) {
  const Tensor w = random({16, 12}, 1);
  WeightedModule dora = low_rank(16, 12, 3, 2, 0.5);
  dora.module.dora_scale = random({16, 1}, 5).abs() + 1;
  const WeightedModule plain = low_rank(16, 12, 3, 8, -0.4);
  const Tensor both = fuse(w, {dora, plain});
  EXPECT_TRUE(is_same_bits(both, fuse(w, {plain, dora})));
  const Tensor apart = fuse(w, {dora}) + fuse(w, {plain}) - w;
  EXPECT_LE((both - apart).abs().max().item<double>(), 1e-5);
}

TEST(Fuse, DoraOfAnUnchangedWeightIsTheIdentity) {
  const Tensor w = random({16, 12}, 1);
  WeightedModule dora = low_rank(16, 12, 3, 2, 0.8);
  std::get<LowRank>(dora.module.weight).up.zero_();
  dora.module.dora_scale = torch::linalg_vector_norm(w, 2, {{1}}, true);
  EXPECT_LE((fuse(w, {dora}) - w).abs().max().item<double>(), 1e-6);
}

TEST(Fuse, DoraOfAZeroRowStaysZero) {
  Tensor w = random({4, 3}, 1);
  w[2].zero_();
  WeightedModule dora = low_rank(4, 3, 2, 2, 1.0);
  std::get<LowRank>(dora.module.weight).up.zero_();
  dora.module.dora_scale = torch::ones({4, 1});
  const Tensor merged = fuse(w, {dora});
  EXPECT_TRUE(merged.isfinite().all().item<bool>());
  EXPECT_EQ(merged[2].abs().max().item<double>(), 0.0);
}

TEST(Fuse, WeightsThatAreNoNumbersAreRefused) {
  const Tensor w = random({4, 3}, 1);
  EXPECT_THROW(fuse(w, {low_rank(4, 3, 2, 2, NAN)}), InvalidRequest);
  EXPECT_THROW(fuse(w, {low_rank(4, 3, 2, 2, INFINITY)}), InvalidRequest);
}

TEST(Fuse, WrongShapesAreRefused) {
  EXPECT_THROW(fuse(random({4, 3}, 1), {low_rank(4, 5, 2, 2, 1.0)}), Error);
  const LoraModule m = low_rank(4, 3, 2, 2, 1.0).module;
  EXPECT_TRUE(fits_shape(m, {4, 3}));
  EXPECT_TRUE(fits_shape(m, {4, 3, 1, 1}));
  EXPECT_FALSE(fits_shape(m, {4, 3, 3, 3}));
  EXPECT_FALSE(fits_shape(m, {3, 4}));
  LoraModule dora = m;
  dora.dora_scale = torch::ones({3, 1});
  EXPECT_FALSE(fits_shape(dora, {4, 3}));
  dora.dora_scale = torch::ones({1, 3});
  EXPECT_TRUE(fits_shape(dora, {4, 3}));
}

TEST(Fuse, DisagreeingFactorsHaveNoExtents) {
  const Tensor t = torch::ones({2, 2, 3, 3});
  EXPECT_FALSE(delta_extents(
      {LowRank{torch::ones({2, 3, 1, 1}), torch::ones({4, 2}), torch::ones({3, 2, 3, 3})},
       {},
       {},
       {}}));
  EXPECT_FALSE(
      delta_extents({LowRank{torch::ones({2, 3}), torch::ones({4, 2, 2, 2}), {}}, {}, {}, {}}));
  EXPECT_FALSE(delta_extents({LoHa{torch::ones({4, 2}),
                                   torch::ones({2, 3}),
                                   {},
                                   torch::ones({5, 2}),
                                   torch::ones({2, 3}),
                                   {}},
                              {},
                              {},
                              {}}));
  EXPECT_FALSE(
      delta_extents({LoKr{torch::ones({4}), {}, {}, torch::ones({2, 3}), {}, {}, {}}, {}, {}, {}}));
  EXPECT_EQ(
      delta_extents({LowRank{torch::ones({2, 5, 1, 1}), torch::ones({4, 2, 1, 1}), t}, {}, {}, {}}),
      (Shape{4, 45}));
}

TEST(Fuse, RowsOfAFusedLayerEqualTheRowsOfTheWholeDelta) {
  LoraModule low = low_rank(9, 5, 2, 1, 1.0).module;
  low.alpha = 1.0;
  LoraModule loha{
      LoHa{random({9, 2}, 1), random({2, 5}, 2), {}, random({9, 2}, 3), random({2, 5}, 4), {}},
      {},
      4.0,
      {}};
  LoraModule lokr{LoKr{random({3, 1}, 5), {}, {}, random({3, 5}, 6), {}, {}, {}}, {}, {}, {}};
  for (const LoraModule& module : {low, loha, lokr}) {
    const Tensor whole = delta(module, {9, 5});
    const LoraModule part = take_rows(module, {9, 5}, 3, 3);
    EXPECT_LE((delta(part, {3, 5}) - whole.narrow(0, 3, 3)).abs().max().item<double>(), 1e-6);
  }
  low.dora_scale = torch::ones({1, 5});
  EXPECT_THROW(take_rows(low, {9, 5}, 3, 3), Error);
  low.dora_scale = random({9, 1}, 3);
  EXPECT_TRUE(
      torch::equal(take_rows(low, {9, 5}, 3, 3).dora_scale, low.dora_scale.narrow(0, 3, 3)));
}

TEST(Fuse, ContentDecidesEqualityNotTheTensorObject) {
  const LoraModule a = low_rank(4, 3, 2, 2, 1.0).module, same = low_rank(4, 3, 2, 2, 1.0).module;
  LoraModule other = low_rank(4, 3, 2, 4, 1.0).module;
  EXPECT_EQ(compare_content(a, same), 0);
  EXPECT_EQ(compare_content(a, other) < 0, compare_content(other, a) > 0);
  EXPECT_NE(compare_content(a, other), 0);
  LoraModule scaled = same;
  scaled.alpha = 1.0;
  EXPECT_NE(compare_content(a, scaled), 0);
}

TEST(Fuse, ScalarsAndEmptyTensorsAreCastToo) {
  Tensor scalar = torch::empty({}, torch::kHalf), nothing = torch::empty({0, 3}, torch::kHalf);
  fuse_into(scalar, torch::full({}, 1.5), {});
  fuse_into(nothing, torch::empty({0, 3}), {});
  EXPECT_EQ(scalar.item<double>(), 1.5);
}

}  // namespace
}  // namespace fourstep
