#include "nets/vae.h"

#include "base/error.h"
#include "nets_golden.h"

namespace fourstep {
namespace {

using namespace testing;

Tensor run_vae(Vae& vae, const nlohmann::json& run) {
  const Tensor x = golden_input(run, "x");
  if (run.at("operation") == "decode") return vae->decode(x);
  const LatentMoments moments = vae->encode(x);
  return at::cat({moments.mean, moments.logvar}, 1);
}

template <typename Check>
void check_vaes(torch::Dtype dtype, Check check) {
  const auto golden = load_golden("nets_vae.json");
  if (!golden) GTEST_SKIP() << "no nets_vae.json";
  size_t checked = 0;
  for (const auto& item : golden->at("cases")) {
    const Vae vae(vae_config_from_shapes(golden_shapes(item), "golden"));
    checked += check_runs(vae, item, dtype, run_vae, check);
  }
  report_golden("nets_vae.json", checked, 0);
}

TEST(GoldenVae, EqualsDiffusersInFp32) { check_vaes(torch::kFloat32, expect_equal_fp32); }

TEST(GoldenVae, IsAsCloseAsDiffusersInBf16) {
  Bf16Error error;
  check_vaes(torch::kBFloat16, [&](const Tensor& got, const auto& run) { error.add(got, run); });
  if (!IsSkipped()) error.expect_as_good_as_reference();
}

TEST(GoldenVae, ReadsThePublishedLayouts) {
  const auto golden = load_golden("nets_shapes.json");
  if (!golden) GTEST_SKIP() << "no nets_shapes.json";
  for (const auto& item : golden->at("vae")) {
    const VaeConfig config = vae_config_from_shapes(item.get<NamedShapes>(), "vae");
    EXPECT_EQ(config.channels, (std::vector<int64_t>{128, 256, 512, 512}));
    EXPECT_EQ(config.resnets, 2);
    EXPECT_EQ(config.latent_channels, 4);
    EXPECT_EQ(Vae(config)->scale(), 8);
  }
}

const VaeConfig kSmall{.channels = {32, 32, 32, 64}, .resnets = 1};

TEST(Vae, ErrorsNameTheWeightThatDoesNotFit) {
  const NamedShapes shapes = shapes_of_module(*Vae(kSmall));
  NamedShapes damaged = shapes;
  damaged["decoder.mid_block.attentions.0.to_q.weight"] = {64, 64, 1, 1};
  EXPECT_THROW(
      try { vae_config_from_shapes(damaged, "x"); } catch (const Error& error) {
        EXPECT_THAT(error.what(), ::testing::HasSubstr("to_q.weight\": shape [64,64,1,1]"));
        throw;
      },
      Error);
  damaged = shapes;
  damaged.erase("encoder.down_blocks.0.resnets.0.conv1.weight");
  EXPECT_THROW(vae_config_from_shapes(damaged, "x"), Error);
  EXPECT_THROW(vae_config_from_shapes({}, "x"), Error);
}

TEST(Vae, RefusesImagesThatAreNoMultipleOfItsScale) {
  Vae vae = with_random_weights(Vae(kSmall));
  EXPECT_THROW(vae->encode(torch::zeros({1, 3, 16, 20})), Error);
  EXPECT_THROW(vae->decode(torch::zeros({1, 3, 4, 4})), Error);
}

TEST(Vae, ADecoderAloneDecodesAsTheWholeDoes) {
  const torch::NoGradGuard no_grad;
  Vae whole = with_random_weights(Vae(kSmall));
  NamedTensors weights;
  for (const auto& item : whole->named_parameters())
    if (item.key().starts_with("decoder.") || item.key().starts_with("post_quant_conv."))
      weights[item.key()] = item.value();
  const auto load = [](const NamedTensors& tensors) {
    Vae vae(vae_config_from_shapes(shapes_of(tensors), "decoder"));
    load_weights(*vae, tensors, {}, "decoder");
    return vae;
  };
  const Tensor latent = seeded_randn({1, 4, 4, 4}, 3);
  EXPECT_TRUE(torch::equal(load(weights)->decode(latent), whole->decode(latent)));
  EXPECT_THROW(load(weights)->encode(torch::zeros({1, 3, 16, 16})), Error);
  // Without the first convolution: the decoder gets what that would have made.
  const Tensor inner = whole->post_quant_conv(latent);
  std::erase_if(weights, [](const auto& item) { return item.first.starts_with("post_"); });
  EXPECT_LE((load(weights)->decode(inner) - whole->decode(latent)).abs().max().item<double>(),
            1e-5);
}

/// Tiles differ from the whole in the statistics of the group norms, the more the smaller they are:
/// these are far smaller than those of use, and random weights react more than trained ones.
TEST(Vae, TiledResultsAreCloseToTheWhole) {
  const torch::NoGradGuard no_grad;
  Vae vae = with_random_weights(Vae(kSmall));
  const Tiling tiling{.tile = 16, .overlap = 8};
  const Tensor latent = seeded_randn({1, 4, 28, 20}, 7), image = seeded_randn({1, 3, 224, 160}, 8);
  EXPECT_LE(rms_error(vae->decode(latent, tiling), vae->decode(latent)), 0.12);
  EXPECT_LE(rms_error(vae->encode(image, tiling).mean, vae->encode(image).mean), 0.06);
}

}  // namespace
}  // namespace fourstep
