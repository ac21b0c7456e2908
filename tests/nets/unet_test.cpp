#include "nets/unet.h"

#include "base/error.h"
#include "nets_golden.h"

namespace fourstep {
namespace {

using namespace testing;

UNetInput golden_unet_input(const nlohmann::json& run) {
  UNetInput input{.x = golden_input(run, "x"),
                  .timestep = torch::tensor(run.at("timestep").get<std::vector<double>>()),
                  .context = golden_input(run, "context")};
  if (run.contains("pooled")) {
    input.pooled = golden_input(run, "pooled");
    std::vector<Tensor> rows;
    for (const auto& row : run.at("time_ids")) rows.push_back(torch::tensor(numbers(row)));
    input.time_ids = at::stack(rows);
  }
  return input;
}

Tensor run_unet(UNet& unet, const nlohmann::json& run) { return unet(golden_unet_input(run)); }

template <typename Check>
void check_unets(torch::Dtype dtype, Check check) {
  const auto golden = load_golden("nets_unet.json");
  if (!golden) GTEST_SKIP() << "no nets_unet.json";
  size_t checked = 0;
  for (const auto& item : golden->at("cases")) {
    const auto heads = item.at("heads").get<std::vector<int64_t>>();
    const UNet unet(unet_config_from_shapes(golden_shapes(item), heads, "golden"));
    checked += check_runs(unet, item, dtype, run_unet, check);
  }
  report_golden("nets_unet.json", checked, 0);
}

TEST(GoldenUNet, EqualsDiffusersInFp32) { check_unets(torch::kFloat32, expect_equal_fp32); }

TEST(GoldenUNet, IsAsCloseAsDiffusersInBf16) {
  Bf16Error error;
  check_unets(torch::kBFloat16, [&](const Tensor& got, const auto& run) { error.add(got, run); });
  if (!IsSkipped()) error.expect_as_good_as_reference();
}

TEST(GoldenUNet, IsCloserInFp16ThanInBf16) {
  check_unets(torch::kFloat16, expect_closer_than_bf16);
}

UNetConfig small_config() {
  UNetConfig config;
  config.levels = {{.channels = 32, .heads = 1, .down_depth = {0}, .up_depth = {0, 0}},
                   {.channels = 64, .heads = 2, .down_depth = {1}, .up_depth = {1, 1}}};
  config.mid_depth = 1;
  config.cross_width = 24;
  config.time_width = 48;
  config.added_width = 16 + 6 * 8;
  return config;
}

UNetInput random_input(int64_t batch) {
  return {.x = seeded_randn({batch, 4, 6, 5}, 1),
          .timestep = torch::full({batch}, 499.0),
          .context = seeded_randn({batch, 7, 24}, 2),
          .pooled = seeded_randn({batch, 16}, 3),
          .time_ids = torch::full({batch, 6}, 512.0)};
}

TEST(UNet, AFullSizeNetworkHasNoMemoryBeforeItsWeights) {
  UNetConfig config;
  config.levels = {
      {.channels = 320, .heads = 5, .down_depth = {0, 0}, .up_depth = {0, 0, 0}},
      {.channels = 640, .heads = 10, .down_depth = {2, 2}, .up_depth = {2, 2, 2}},
      {.channels = 1280, .heads = 20, .down_depth = {10, 10}, .up_depth = {10, 10, 10}}};
  const UNet unet(config);
  int64_t numbers = 0, bytes = 0;
  for (const Tensor& weight : unet->parameters()) {
    numbers += weight.numel();
    bytes += static_cast<int64_t>(weight.storage().nbytes());
  }
  EXPECT_EQ(numbers, 2567463684);  // the published count
  EXPECT_LT(bytes, 1 << 20);
}

TEST(UNet, SamplesOfABatchDoNotMix) {
  UNet unet = with_random_weights(UNet(small_config()));
  const UNetInput all = random_input(3);
  const Tensor whole = unet(all);
  for (int64_t i = 0; i < 3; ++i) {
    const auto pick = [i](const Tensor& t) { return t.narrow(0, i, 1); };
    const Tensor one = unet(UNetInput{pick(all.x), pick(all.timestep), pick(all.context),
                                      pick(all.pooled), pick(all.time_ids)});
    EXPECT_LE(max_error(one, pick(whole)), 1e-5);
  }
}

/// The in-place operations of the forward pass must not disturb the gradient, taken here by
/// differences in double precision.
TEST(UNet, GradientsOfInputAndWeightsEqualDifferences) {
  UNet unet = with_random_weights(UNet(small_config()));
  unet->to(torch::kFloat64);
  UNetInput input = random_input(1);
  input.x = input.x.to(torch::kFloat64).requires_grad_();
  Tensor weight = unet->named_parameters()["mid_block.attentions.0.proj_in.weight"];
  weight.requires_grad_();
  const auto loss = [&] { return unet(input).square().sum(); };
  loss().backward();
  const auto expect_gradient = [&](Tensor& variable) {
    const Tensor direction = seeded_randn(shape_of(variable), 5).to(torch::kFloat64);
    const double expected = (variable.grad() * direction).sum().item<double>();
    const torch::NoGradGuard no_grad;
    const double step = 1e-5;
    variable.add_(direction, step);
    const double above = loss().item<double>();
    variable.add_(direction, -2 * step);
    const double below = loss().item<double>();
    variable.add_(direction, step);
    EXPECT_NEAR((above - below) / (2 * step) / expected, 1, 1e-4);
  };
  expect_gradient(input.x);
  expect_gradient(weight);
}

TEST(UNet, ReturnsTheDtypeOfX) {
  UNet unet = with_random_weights(UNet(small_config()));
  UNetInput input = random_input(1);
  input.x = input.x.to(torch::kBFloat16);
  EXPECT_EQ(unet(input).scalar_type(), torch::kBFloat16);
}

void expect_refused(UNet& unet, const UNetInput& input, const std::string& text) {
  try {
    unet(input);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
  }
}

TEST(UNet, NamesTheInputThatDoesNotFit) {
  UNet unet = with_random_weights(UNet(small_config()));
  UNetInput input = random_input(2);
  input.context = torch::zeros({2, 7, 25});
  expect_refused(unet, input, "UNet: context: shape [2,7,25], expected [2,-1,24]");
  input = random_input(2);
  input.timestep = torch::zeros({1});
  expect_refused(unet, input, "UNet: timestep: shape [1], expected [2]");
  input = random_input(2);
  input.pooled = Tensor();
  expect_refused(unet, input, "UNet: pooled is missing");
  input = random_input(2);
  input.pooled = torch::zeros({2, 20});
  expect_refused(unet, input, "do not fill an added condition of width 64");
}

}  // namespace
}  // namespace fourstep
