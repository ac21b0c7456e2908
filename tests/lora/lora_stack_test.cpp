#include "lora/lora_stack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/error.h"

namespace fourstep {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const ParameterId kA{Component::kUnet, "a.weight"}, kB{Component::kUnet, "b.weight"},
    kText{Component::kTextEncoder, "a.weight"};

/// Pristine fp16 weights and a live bf16 model, as the pipeline has them.
struct Model {
  Model() {
    torch::manual_seed(1);
    for (const ParameterId& id : {kA, kB, kText}) {
      pristine[id.component][id.name] = torch::randn({24, 16}).to(torch::kHalf);
      live[id] = pristine[id.component][id.name].to(torch::kBFloat16);
    }
    original = copy();
  }
  std::map<ParameterId, Tensor> copy() const {
    std::map<ParameterId, Tensor> all;
    for (const auto& [id, tensor] : live) all[id] = tensor.clone();
    return all;
  }
  bool is(const std::map<ParameterId, Tensor>& other) const {
    return std::all_of(live.begin(), live.end(), [&](const auto& entry) {
      return torch::equal(entry.second, other.at(entry.first));
    });
  }
  LoraStack::WriteParameter writer() {
    return [this](const ParameterId& id, const Tensor& weight, const auto& terms) {
      fuse_into(live.at(id), weight, terms);
    };
  }

  std::map<Component, NamedTensors> pristine;
  std::map<ParameterId, Tensor> live, original;
};

/// A LoRA on the named parameters with factors drawn from `seed`.
AppliedLora lora(int64_t seed, const std::vector<ParameterId>& ids, double weight = 1) {
  torch::manual_seed(seed);
  AppliedLora applied{{}, weight, weight};
  for (const ParameterId& id : ids) {
    const LowRank factors{torch::randn({4, 16}), torch::randn({24, 4}), {}};
    applied.match.matched.push_back({id.component, id.name, {factors, {}, 2.0, {}}});
  }
  return applied;
}

TEST(LoraStack, TakingALoraOffRestoresTheModelToTheBit) {
  Model model;
  LoraStack stack(model.pristine);
  EXPECT_THAT(stack.set({lora(5, {kA, kText}, 0.7)}, model.writer()), ElementsAre(kA, kText));
  EXPECT_FALSE(model.is(model.original));
  EXPECT_THAT(stack.set({}, model.writer()), ElementsAre(kA, kText));
  EXPECT_TRUE(model.is(model.original));
}

TEST(LoraStack, OnlyParametersWhoseSumChangesAreWritten) {
  Model model;
  LoraStack stack(model.pristine);
  const AppliedLora first = lora(5, {kA, kB}), second = lora(6, {kB, kText});
  stack.set({first, second}, model.writer());
  EXPECT_THAT(stack.set({first, second}, model.writer()), IsEmpty());
  EXPECT_THAT(stack.set({second, first}, model.writer()), IsEmpty()) << "order has no effect";
  AppliedLora lighter = second;
  lighter.unet_weight = lighter.text_weight = 0.5;
  EXPECT_THAT(stack.set({first, lighter}, model.writer()), ElementsAre(kB, kText));
  lighter.text_weight = 0;
  EXPECT_THAT(stack.set({first, lighter}, model.writer()), ElementsAre(kText));
  EXPECT_TRUE(torch::equal(model.live.at(kText), model.original.at(kText)));
  EXPECT_THAT(stack.set({lighter}, model.writer()), ::testing::UnorderedElementsAre(kA, kB));
}

TEST(LoraStack, WeightsOfUNetAndTextEncodersAreSeparate) {
  Model model;
  LoraStack stack(model.pristine);
  AppliedLora applied = lora(5, {kA, kText});
  applied.text_weight = -0.5;
  stack.set({applied}, model.writer());
  const auto& m = applied.match.matched;
  EXPECT_TRUE(torch::equal(
      model.live.at(kA),
      fuse(model.pristine[kA.component][kA.name], {{m[0].module, 1.0}}).to(torch::kBFloat16)));
  EXPECT_TRUE(torch::equal(model.live.at(kText),
                           fuse(model.pristine[kText.component][kText.name], {{m[1].module, -0.5}})
                               .to(torch::kBFloat16)));
}

TEST(LoraStack, TwoFilesInEitherOrderGiveTheSameBits) {
  Model one, two;
  const AppliedLora first = lora(5, {kA, kB, kText}, 1.2), second = lora(6, {kA, kB, kText}, -0.2);
  LoraStack(one.pristine).set({first, second}, one.writer());
  LoraStack(two.pristine).set({second, first}, two.writer());
  EXPECT_TRUE(one.is(two.live));
}

TEST(LoraStack, OneFileTwiceAtHalfWeightIsTheWholeToTheBit) {
  Model one, two;
  LoraStack(one.pristine).set({lora(5, {kA, kB}, 0.5), lora(5, {kA, kB}, 0.5)}, one.writer());
  LoraStack(two.pristine).set({lora(5, {kA, kB}, 1.0)}, two.writer());
  EXPECT_TRUE(one.is(two.live));
}

TEST(LoraStack, OppositeWeightsCancelToThePristineModel) {
  Model model;
  LoraStack stack(model.pristine);
  EXPECT_THAT(stack.set({lora(5, {kA}, 0.3), lora(5, {kA}, -0.3)}, model.writer()), IsEmpty());
  EXPECT_TRUE(model.is(model.original));
}

TEST(LoraStack, WeightsThatAreNoNumbersAreRefusedBeforeAnythingIsWritten) {
  Model model;
  LoraStack stack(model.pristine);
  AppliedLora applied = lora(5, {kA, kText});
  applied.text_weight = NAN;
  EXPECT_THROW(stack.set({applied}, model.writer()), InvalidRequest);
  applied.text_weight = INFINITY;
  EXPECT_THROW(stack.set({applied}, model.writer()), InvalidRequest);
  EXPECT_TRUE(model.is(model.original));
}

TEST(LoraStack, AfterAnInterruptionTheNextCallRepairsTheRest) {
  Model model;
  LoraStack stack(model.pristine);
  const auto interrupted = [&](const ParameterId& id, const Tensor& weight, const auto& terms) {
    if (id == kB) throw Cancelled();
    fuse_into(model.live.at(id), weight, terms);
  };
  EXPECT_THROW(stack.set({lora(5, {kA, kB})}, interrupted), Cancelled);
  EXPECT_THAT(stack.set({}, model.writer()), ElementsAre(kA));
  EXPECT_TRUE(model.is(model.original));
}

TEST(LoraStack, AnUnknownParameterIsAnError) {
  Model model;
  LoraStack stack(model.pristine);
  EXPECT_THROW(stack.set({lora(5, {{Component::kVae, "x"}})}, model.writer()), Error);
}

}  // namespace
}  // namespace fourstep
