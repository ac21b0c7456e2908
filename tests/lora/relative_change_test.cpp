#include "lora/relative_change.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "lora/fuse.h"
#include "lora/lora_match.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

Tensor unpacked(const nlohmann::json& packed) {
  const bool is_whole = packed.at("dtype") == "I64";
  Tensor tensor =
      torch::empty(packed.at("shape").get<Shape>(), is_whole ? torch::kLong : torch::kFloat);
  const std::string bytes = testing::decode_base64(packed.at("data"));
  if (bytes.size() != tensor.nbytes()) throw Error("golden tensor of {} bytes", bytes.size());
  std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
  return tensor;
}

/// The golden layer as a model of one layer, under the name that the case's keys have.
struct GoldenLayer {
  NamedTensors parameters;
  LoraMatch match;
};

GoldenLayer golden_layer(const nlohmann::json& item) {
  const std::string name =
      item.value("module", "lora_unet_layer") == "base_model.model.other" ? "other" : "layer";
  GoldenLayer layer;
  for (const char* part : {"weight", "bias"}) {
    if (item.contains(part)) layer.parameters[name + "." + part] = unpacked(item.at(part));
  }
  TensorFile file;
  file.path = item.at("name").get<std::string>();
  for (const auto& [key, value] : item.at("tensors").items()) file.tensors[key] = unpacked(value);
  std::optional<PeftConfig> config;
  if (item.contains("peft_config")) config = parse_peft_config(item.at("peft_config"), "golden");
  layer.match = match_lora(parse_lora(file, config),
                           LoraTargets({{Component::kUnet, shapes_of(layer.parameters)}}, {}));
  return layer;
}

void expect_results(const nlohmann::json& item) {
  SCOPED_TRACE(item.at("name").get<std::string>());
  const GoldenLayer layer = golden_layer(item);
  ASSERT_FALSE(layer.match.matched.empty());
  for (const auto& result : item.at("results")) {
    const double strength = result.at("strength");
    const LoraTerms terms = terms_by_parameter({{layer.match, strength, strength}});
    for (const auto& [name, pristine] : layer.parameters) {
      const auto found = terms.find({Component::kUnet, name});
      const Tensor fused =
          fuse(pristine, found == terms.end() ? std::vector<WeightedModule>{} : found->second);
      const char* part = name.ends_with(".bias") ? "bias" : "weight";
      const Tensor expected = result.contains(part) ? unpacked(result.at(part)) : pristine;
      const double error = (fused - expected).abs().max().item<double>();
      EXPECT_LE(error, 2e-6 * std::max(1.0, expected.abs().max().item<double>()))
          << part << " at " << strength;
    }
  }
}

TEST(GoldenLoraKinds, MergedWeightsAndBiasesEqualLycorisAndPeft) {
  const auto golden = testing::load_golden("lora_kinds.json");
  if (!golden) GTEST_SKIP() << "lora_kinds.json";
  size_t checked = 0;
  for (const auto& item : golden->at("cases")) {
    expect_results(item);
    ++checked;
  }
  testing::report_golden("lora_kinds.json", checked, 0);
  EXPECT_GT(checked, 0U);
}

LoraModule rotation(const Shape& blocks) { return {OFT{torch::randn(blocks), {}}, {}, {}, {}}; }

TEST(RelativeChange, RotationsKeepTheProductsOfColumns) {
  torch::manual_seed(3);
  const Tensor w = torch::randn({16, 5});
  for (const Shape& blocks :
       {Shape{4, 4, 4}, Shape{1, 16, 16}, Shape{3, 4, 4, 4}, Shape{1, 8, 2, 2}}) {
    const Tensor merged = fuse(w, {{rotation(blocks), 1.0}});
    EXPECT_GT((merged - w).abs().max().item<double>(), 0.1) << blocks;
    EXPECT_TRUE(torch::allclose(torch::mm(merged.t(), merged), torch::mm(w.t(), w), 1e-4, 1e-4));
  }
}

TEST(RelativeChange, TheLimitOfARotationCountsAllBlocksTogether) {
  torch::manual_seed(3);
  const Tensor w = torch::randn({8, 5});
  LoraModule module = rotation({2, 4, 4});
  module.alpha = 1e-6;
  EXPECT_LE((fuse(w, {{module, 1.0}}) - w).abs().max().item<double>(), 1e-4);
  module.alpha = 1e6;
  const Tensor free = fuse(w, {{module, 1.0}});
  module.alpha = 0;
  EXPECT_TRUE(torch::equal(fuse(w, {{module, 1.0}}), free)) << "0 is no limit";
}

std::vector<WeightedModule> one_of_each() {
  torch::manual_seed(5);
  LoraModule glora{GLoRA{torch::randn({6, 2}), torch::randn({2, 6}),
                         LowRank{torch::randn({2, 6}), torch::randn({8, 2}), {}}},
                   {},
                   {},
                   {}};
  LoraModule ia3{IA3{torch::randn({8}), torch::tensor(0)}, {}, {}, {}};
  LoraModule low{LowRank{torch::randn({2, 6}), torch::randn({8, 2}), {}}, {}, {}, {}};
  return {{glora, 0.5},
          {rotation({2, 4, 4}), -0.4},
          {rotation({2, 2, 4, 4}), 0.3},
          {ia3, 1.2},
          {low, 0.8}};
}

TEST(RelativeChange, TheOrderOfKindsChangesNoBitAndEachStartsFromThePristineWeight) {
  const Tensor w = torch::randn({8, 6});
  std::vector<WeightedModule> modules = one_of_each();
  const Tensor first = fuse(w, modules);
  Tensor apart = w;
  for (const WeightedModule& module : modules) apart = apart + change_of(w, module);
  EXPECT_TRUE(torch::allclose(first, apart, 1e-5, 1e-5));
  for (size_t i = 0; i < modules.size(); ++i) {
    std::rotate(modules.begin(), modules.begin() + 1, modules.end());
    EXPECT_TRUE(torch::equal(fuse(w, modules), first));
  }
}

TEST(RelativeChange, AReplacedWeightArrivesToTheBitAtAnyWeightButZero) {
  const Tensor w = torch::full({3, 2}, 1e6F), value = torch::randn({3, 2}) * 1e-3;
  const LoraModule module{Replacement{value}, {}, {}, {}};
  for (const double weight : {1.0, 0.3, -2.0})
    EXPECT_TRUE(torch::equal(fuse(w, {{module, weight}}), value)) << weight;
  EXPECT_TRUE(torch::equal(fuse(w, {{module, 0.0}}), w));
  LoraModule low{LowRank{torch::ones({1, 2}), torch::ones({3, 1}), {}}, {}, {}, {}};
  EXPECT_TRUE(torch::allclose(fuse(w, {{low, 1.0}, {module, 1.0}}), value + 1, 1e-6, 0));
}

TEST(RelativeChange, ModulesOfOtherShapesDoNotFit) {
  const std::vector<WeightedModule> modules = one_of_each();
  for (const WeightedModule& module : modules) {
    EXPECT_TRUE(fits_shape(module.module, {8, 6})) << kind_of(module.module);
    EXPECT_FALSE(fits_shape(module.module, {9, 6})) << kind_of(module.module);
    EXPECT_FALSE(fits_shape(module.module, {8})) << kind_of(module.module);
    EXPECT_FALSE(fits_shape(module.module, {})) << kind_of(module.module);
  }
  const auto fuse_wrong = [&] { fuse(torch::randn({9, 6}), {modules[1]}); };
  EXPECT_THAT(message_of<Error>(fuse_wrong), HasSubstr("OFT of these shapes does not fit"));
}

TEST(RelativeChange, RowsOfAFusedLayerAreTakenWhereRowsStandAlone) {
  const Tensor w = torch::randn({8, 6});
  for (const WeightedModule& module : one_of_each()) {
    if (std::holds_alternative<OFT>(module.module.weight)) {
      EXPECT_THAT(message_of<Error>([&] {
                    take_rows(module.module, {8, 6}, 2, 3);
                  }),
                  HasSubstr("cannot be split"));
      continue;
    }
    const LoraModule part = take_rows(module.module, {8, 6}, 2, 3);
    const Tensor whole = change_of(w, module).narrow(0, 2, 3);
    EXPECT_TRUE(
        torch::allclose(change_of(w.narrow(0, 2, 3), {part, module.weight}), whole, 1e-5, 1e-6))
        << kind_of(module.module);
  }
}

}  // namespace
}  // namespace fourstep
