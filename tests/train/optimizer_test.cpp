#include "train/optimizer.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using nlohmann::json;

Tensor leaf(const std::vector<double>& values) {
  return torch::tensor(values, torch::kFloat32).requires_grad_(true);
}

/// The parameters "0", "1", ... of a golden case.
NamedTensors start_of(const json& item) {
  NamedTensors parameters;
  for (size_t k = 0; k < item.at("start").size(); ++k) {
    const Tensor flat = torch::tensor(testing::numbers(item.at("start")[k]), torch::kFloat32);
    parameters[std::to_string(k)] =
        flat.view(item.at("shapes")[k].get<Shape>()).requires_grad_(true);
  }
  return parameters;
}

void give_gradients(const NamedTensors& parameters, const json& gradients) {
  for (size_t k = 0; k < gradients.size(); ++k) {
    const Tensor& parameter = parameters.at(std::to_string(k));
    if (gradients[k].is_null()) continue;
    parameter.mutable_grad() =
        torch::tensor(testing::numbers(gradients[k]), torch::kFloat32).view(parameter.sizes());
  }
}

AdamWOptions options_of(const json& item) {
  const json& options = item.at("options");
  return {options.at("beta1"), options.at("beta2"), options.at("eps"), options.at("weight_decay")};
}

TEST(GoldenAdamW, UpdatesAsTorchDoes) {
  const auto golden = testing::load_golden("training.json");
  if (!golden) GTEST_SKIP() << "no training.json";
  size_t checked = 0;
  for (const json& item : golden->value("adamw", json::array())) {
    const NamedTensors parameters = start_of(item);
    AdamW optimizer(parameters, options_of(item));
    for (size_t i = 0; i < item.at("rates").size(); ++i) {
      give_gradients(parameters, item.at("gradients")[i]);
      optimizer.step(item.at("rates")[i]);
      for (size_t k = 0; k < parameters.size(); ++k) {
        const auto got = testing::to_doubles(parameters.at(std::to_string(k)));
        const auto expected = testing::numbers(item.at("after")[i][k]);
        // fp32 in another order of operations.
        EXPECT_LT(testing::max_absolute_error(got, expected), 1e-6) << item.at("name") << " " << i;
      }
    }
    ++checked;
  }
  testing::report_golden("training.json", checked, 0);
}

TEST(AdamW, TheFirstUpdateIsTheRateInTheGradientsDirection) {
  const Tensor parameter = leaf({1, 1, 1});
  AdamW optimizer({{"p", parameter}}, {.weight_decay = 0});
  parameter.mutable_grad() = torch::tensor({5.f, -0.001f, 0.f});
  optimizer.step(0.1);
  EXPECT_TRUE(at::allclose(parameter, torch::tensor({0.9f, 1.1f, 1.f}), 1e-4));
  EXPECT_FALSE(parameter.grad().defined()) << "gradients are cleared";
}

TEST(AdamW, DecayIsApartFromTheGradient) {
  const Tensor parameter = leaf({2, -4});
  AdamW optimizer({{"p", parameter}}, {.weight_decay = 0.5});
  parameter.mutable_grad() = torch::zeros({2});
  optimizer.step(0.1);
  EXPECT_TRUE(at::allclose(parameter, torch::tensor({2 * 0.95f, -4 * 0.95f})));
}

TEST(AdamW, ParametersWithoutGradientStay) {
  const Tensor moved = leaf({1}), still = leaf({1});
  AdamW optimizer({{"moved", moved}, {"still", still}}, {.weight_decay = 0.5});
  moved.mutable_grad() = torch::ones({1});
  optimizer.step(0.1);
  EXPECT_EQ(still.item<float>(), 1.f);
  EXPECT_EQ(optimizer.state().at("still.step").item<float>(), 0.f);
  EXPECT_EQ(optimizer.state().at("moved.step").item<float>(), 1.f);
}

TEST(AdamW, GoesOnFromItsSavedState) {
  const auto run = [](AdamW& optimizer, const Tensor& parameter, int from, int to) {
    for (int i = from; i < to; ++i) {
      parameter.mutable_grad() = (parameter.detach() * static_cast<float>(i + 1)).sin();
      optimizer.step(0.05);
    }
  };
  const Tensor whole = leaf({1, -2, 3}), first = leaf({1, -2, 3});
  AdamW one({{"p", whole}}, {}), two({{"p", first}}, {});
  run(one, whole, 0, 6);
  run(two, first, 0, 3);
  const Tensor second = first.detach().clone().requires_grad_(true);
  AdamW three({{"p", second}}, {});
  three.load(clone_tensors(two.state()));
  run(three, second, 3, 6);
  EXPECT_TRUE(torch::equal(second, whole));
}

TEST(AdamW, AForeignStateNamesWhatIsMissingOrMisshapen) {
  AdamW optimizer({{"p", leaf({1, 2})}}, {});
  EXPECT_EQ(
      testing::message_of<Error>([&] { optimizer.load({}); }),
      "optimizer state: \"p.exp_avg\" is missing; was it saved by a run with other settings?");
  NamedTensors state = clone_tensors(optimizer.state());
  state["p.exp_avg_sq"] = torch::zeros({3});
  const std::string message = testing::message_of<Error>([&] { optimizer.load(state); });
  EXPECT_NE(message.find("\"p.exp_avg_sq\""), std::string::npos) << message;
}

TEST(ClipGradients, ScalesAllGradientsTogetherDownToTheNorm) {
  const NamedTensors parameters = {{"a", leaf({0, 0})}, {"b", leaf({0})}, {"none", leaf({0})}};
  const auto give = [&] {
    parameters.at("a").mutable_grad() = torch::tensor({3.f, 0.f});
    parameters.at("b").mutable_grad() = torch::tensor({-4.f});
  };
  give();
  EXPECT_DOUBLE_EQ(clip_gradients(parameters, 10), 5);
  EXPECT_TRUE(torch::equal(parameters.at("a").grad(), torch::tensor({3.f, 0.f})));
  EXPECT_DOUBLE_EQ(clip_gradients(parameters, 0), 5) << "0: no limit";
  EXPECT_TRUE(torch::equal(parameters.at("a").grad(), torch::tensor({3.f, 0.f})));
  EXPECT_DOUBLE_EQ(clip_gradients(parameters, 1), 5) << "the norm before";
  EXPECT_TRUE(at::allclose(parameters.at("a").grad(), torch::tensor({0.6f, 0.f})));
  EXPECT_TRUE(at::allclose(parameters.at("b").grad(), torch::tensor({-0.8f})));
  EXPECT_FALSE(parameters.at("none").grad().defined());
}

TEST(ClipGradients, PassesOnThatThereIsNoNumber) {
  const Tensor parameter = leaf({0, 0});
  parameter.mutable_grad() = torch::tensor({NAN, 1.f});
  EXPECT_TRUE(std::isnan(clip_gradients({{"p", parameter}}, 1)));
  EXPECT_EQ(clip_gradients({{"p", leaf({0})}}, 1), 0) << "no gradient at all";
}

TEST(UpdateAverage, KeepsTheShareOfTheOldOne) {
  NamedTensors average = {{"p", torch::tensor({1.f, 2.f})}};
  update_average(average, {{"p", leaf({3, 6})}}, 0.75);
  EXPECT_TRUE(at::allclose(average.at("p"), torch::tensor({1.5f, 3.f})));
  update_average(average, {{"p", leaf({7, 7})}}, 0);
  EXPECT_TRUE(at::allclose(average.at("p"), torch::tensor({7.f, 7.f}))) << "0: no average";
}

TEST(CopyTensors, ChangesNothingWhenOneDoesNotFit) {
  const NamedTensors targets = {{"a", leaf({1})}, {"b", leaf({2})}};
  const NamedTensors values = {{"a", torch::tensor({5.f})}, {"b", torch::tensor({1.f, 2.f})}};
  EXPECT_THROW(copy_tensors(values, targets, "weights"), Error);
  EXPECT_EQ(targets.at("a").item<float>(), 1.f);
}

TEST(MixedPrecision, ProductsAreBf16WhileItLives) {
  const Tensor weight = at::ones({4, 3}), x = at::ones({2, 3});
  {
    const MixedPrecision mixed("bf16", torch::kCPU);
    EXPECT_EQ(at::linear(x, weight).scalar_type(), torch::kBFloat16);
  }
  EXPECT_EQ(at::linear(x, weight).scalar_type(), torch::kFloat32);
}

TEST(MixedPrecision, AnInnerOneLeavesTheOuterOneOn) {
  const Tensor weight = at::ones({4, 3}), x = at::ones({2, 3});
  const MixedPrecision outer("bf16", torch::kCPU);
  { const MixedPrecision inner("bf16", torch::kCPU); }
  EXPECT_EQ(at::linear(x, weight).scalar_type(), torch::kBFloat16);
}

TEST(MixedPrecision, SeesWeightsThatChangedBetweenTwoSteps) {
  Tensor weight = at::ones({1, 1}).requires_grad_(true);
  for (const float value : {1.f, 2.f}) {
    {
      const torch::NoGradGuard no_grad;
      weight.fill_(value);
    }
    const MixedPrecision mixed("bf16", torch::kCPU);
    EXPECT_EQ(at::linear(at::ones({1, 1}), weight).item<float>(), value);
  }
}

TEST(MixedPrecision, GradientsArriveInFp32) {
  Tensor weight = at::full({4, 3}, 0.5).requires_grad_(true);
  Tensor loss;
  {
    const MixedPrecision mixed("bf16", torch::kCPU);
    loss = at::linear(at::ones({2, 3}), weight).to(torch::kFloat32).sum();
  }
  loss.backward();
  EXPECT_TRUE(torch::equal(weight.grad(), at::full({4, 3}, 2.f)));
}

TEST(MixedPrecision, Fp32ChangesNothingAndOtherWordsAreRefused) {
  const MixedPrecision same("fp32", torch::kCPU);
  EXPECT_EQ(at::linear(at::ones({2, 3}), at::ones({4, 3})).scalar_type(), torch::kFloat32);
  try {
    MixedPrecision("half", torch::kCPU);
    FAIL();
  } catch (const InvalidRequest& error) {
    EXPECT_STREQ(error.what(), "--precision \"half\" is unknown for training; use fp32 or bf16");
  }
}

}  // namespace
}  // namespace fourstep
