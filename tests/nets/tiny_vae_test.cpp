#include "nets/tiny_vae.h"

#include "base/error.h"
#include "nets_golden.h"

namespace fourstep {
namespace {

using namespace testing;

Tensor run_tiny_vae(TinyVae& vae, const nlohmann::json& run) {
  const Tensor x = golden_input(run, "x");
  return run.at("operation") == "decode" ? vae->decode(x) : vae->encode(x);
}

template <typename Check>
void check_tiny_vaes(torch::Dtype dtype, Check check) {
  const auto golden = load_golden("nets_tiny_vae.json");
  if (!golden) GTEST_SKIP() << "no nets_tiny_vae.json";
  size_t checked = 0;
  for (const auto& item : golden->at("cases")) {
    const TinyVae vae(tiny_vae_config_from_shapes(golden_shapes(item), "golden"));
    checked += check_runs(vae, item, dtype, run_tiny_vae, check);
  }
  report_golden("nets_tiny_vae.json", checked, 0);
}

TEST(GoldenTinyVae, EqualsDiffusersInFp32) { check_tiny_vaes(torch::kFloat32, expect_equal_fp32); }

TEST(GoldenTinyVae, IsAsCloseAsDiffusersInBf16) {
  Bf16Error error;
  check_tiny_vaes(torch::kBFloat16,
                  [&](const Tensor& got, const auto& run) { error.add(got, run); });
  if (!IsSkipped()) error.expect_as_good_as_reference();
}

TEST(GoldenTinyVae, ReadsThePublishedLayout) {
  const auto golden = load_golden("nets_shapes.json");
  if (!golden) GTEST_SKIP() << "no nets_shapes.json";
  const auto shapes = golden->at("tiny_vae").at("TAESDXL").get<NamedShapes>();
  const TinyVaeConfig config = tiny_vae_config_from_shapes(shapes, "taesdxl");
  EXPECT_EQ(config.width, 64);
  EXPECT_EQ(config.encoder_blocks, (std::vector<int64_t>{1, 3, 3, 3}));
  EXPECT_EQ(config.decoder_blocks, (std::vector<int64_t>{3, 3, 3, 1}));
}

TEST(TinyVae, ADecoderAloneDecodesAndSaysWhatEncodingLacks) {
  NamedShapes shapes = shapes_of_module(*TinyVae(TinyVaeConfig{}));
  std::erase_if(shapes, [](const auto& item) { return item.first.starts_with("encoder."); });
  TinyVae vae(tiny_vae_config_from_shapes(shapes, "taesd_decoder"));
  EXPECT_TRUE(vae->encoder.is_empty());
  NamedTensors weights;
  for (const auto& [name, shape] : shapes) weights[name] = torch::zeros(shape);
  load_weights(*vae, weights, {}, "taesd_decoder");
  EXPECT_EQ(shape_of(vae->decode(torch::zeros({1, 4, 2, 3}))), (Shape{1, 3, 16, 24}));
  try {
    vae->encode(torch::zeros({1, 3, 16, 16}));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("encoder.layers"), std::string::npos);
  }
  shapes.erase("decoder.layers.18.bias");
  EXPECT_THROW(tiny_vae_config_from_shapes(shapes, "x"), Error);
}

TEST(TinyVae, ErrorsNameTheWeightThatDoesNotFit) {
  NamedShapes shapes = shapes_of_module(*TinyVae(TinyVaeConfig{}));
  for (const auto& item : shapes) {
    NamedShapes damaged = shapes;
    damaged.erase(item.first);
    EXPECT_THROW(tiny_vae_config_from_shapes(damaged, "x"), Error) << item.first;
  }
  shapes["decoder.layers.18.bias"] = {4};
  EXPECT_THROW(tiny_vae_config_from_shapes(shapes, "x"), Error);
}

}  // namespace
}  // namespace fourstep
