#include "nets/unet_hooks.h"

#include "base/error.h"
#include "nets/unet.h"
#include "nets_golden.h"

namespace fourstep {
namespace {

using namespace testing;

/// Two levels of 32 and 64 channels, transformers of depth 2.
UNetConfig deep_config() {
  UNetConfig config;
  config.levels = {{.channels = 32, .heads = 1, .down_depth = {0}, .up_depth = {0, 0}},
                   {.channels = 64, .heads = 2, .down_depth = {2}, .up_depth = {2, 2}}};
  config.mid_depth = 2;
  config.cross_width = 24;
  config.time_width = 48;
  config.added_width = 0;
  return config;
}

class Hooks : public ::testing::Test {
 protected:
  UNet unet_ = with_random_weights(UNet(deep_config()));
  const UNetInput input_{.x = seeded_randn({2, 4, 12, 16}, 1),
                         .timestep = torch::full({2}, 499.0),
                         .context = seeded_randn({2, 7, 24}, 2)};
  const Tensor plain_ = unet_(input_);

  Tensor run(const UNetHooks& hooks, const UNetInput* other = nullptr) {
    UNetInput input = other ? *other : input_;
    input.hooks = &hooks;
    return unet_(input);
  }
  Tensor degrade(const DegradedLayers& layers) {
    UNetHooks hooks;
    hooks.degraded = layers;
    return run(hooks);
  }
};

TEST_F(Hooks, WithoutContentChangeNoBit) { EXPECT_TRUE(torch::equal(run({}), plain_)); }

TEST_F(Hooks, NagActsOnTheLastSamplesAlone) {
  UNetHooks hooks;
  hooks.nag = NagGuidance{seeded_randn({1, 7, 24}, 3)};
  const Tensor guided = run(hooks);
  EXPECT_LE(max_error(guided[0], plain_[0]), 1e-5);
  EXPECT_GT(max_error(guided[1], plain_[1]), 1e-2);
  const UNetInput second{.x = input_.x.narrow(0, 1, 1),
                         .timestep = input_.timestep.narrow(0, 1, 1),
                         .context = input_.context.narrow(0, 1, 1)};
  EXPECT_LE(max_error(run(hooks, &second)[0], guided[1]), 1e-5);
}

TEST_F(Hooks, NagAwayFromThePromptItselfIsPlain) {
  UNetHooks hooks;
  hooks.nag = NagGuidance{input_.context.repeat({1, 2, 1}), 11, 2.5, 0.5};
  EXPECT_LE(max_error(run(hooks), plain_), 1e-5);
}

TEST_F(Hooks, NagOfAForeignWidthIsRefused) {
  UNetHooks hooks;
  hooks.nag = NagGuidance{seeded_randn({1, 7, 25}, 3)};
  EXPECT_THROW(run(hooks), Error);
  hooks.nag = NagGuidance{seeded_randn({3, 7, 24}, 3)};
  EXPECT_THROW(run(hooks), Error);
}

/// softmax(q k^T / sqrt(d)) v for one head, in fp64, written out once more.
Tensor one_head(const Tensor& q, const Tensor& k, const Tensor& v) {
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(1)));
  return (q.matmul(k.t()) * scale).softmax(1).matmul(v);
}

Tensor all_heads(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads) {
  std::vector<Tensor> parts;
  const auto qs = q.chunk(heads, 1), ks = k.chunk(heads, 1), vs = v.chunk(heads, 1);
  for (int64_t i = 0; i < heads; ++i) parts.push_back(one_head(qs[i], ks[i], vs[i]));
  return torch::cat(parts, 1);
}

/// The paper's four steps, row by row.
Tensor nag_by_rows(const Tensor& positive, const Tensor& negative, const NagGuidance& nag) {
  Tensor out = torch::empty_like(positive);
  for (int64_t row = 0; row < positive.size(0); ++row) {
    const Tensor z = positive[row], pushed = z * nag.scale - negative[row] * (nag.scale - 1);
    const double ratio = (pushed.abs().sum() / z.abs().sum()).item<double>();
    out[row] = pushed * (std::min(ratio, nag.tau) / ratio) * nag.alpha + z * (1 - nag.alpha);
  }
  return out;
}

TEST(NagInTheUNet, EqualsThePaperInATransformerBlock) {
  TransformerBlock block(64, TransformerOptions{.heads = 2, .cross_width = 24});
  block = with_random_weights(block);
  block->to(torch::kFloat64);
  const auto wide = [](const Tensor& t) { return t.to(torch::kFloat64); };
  const Tensor x = wide(seeded_randn({1, 6, 64}, 1)), prompt = wide(seeded_randn({1, 5, 24}, 2));
  const NagGuidance nag{wide(seeded_randn({1, 5, 24}, 3)), 4, 1.3, 0.6};
  const TransformerHooks hooks{.nag = &nag, .height = 2, .width = 3};
  const Tensor got = block->forward_hooked(x, cat_nag_context(prompt, nag.context), hooks);

  const Tensor normed = block->norm1(x);
  Tensor tokens = block->attn1(normed, normed) + x;
  auto& cross = *block->attn2;
  const Tensor q = cross.to_q(block->norm2(tokens))[0];
  const auto attend = [&](const Tensor& text) {
    return all_heads(q, cross.to_k(text)[0], cross.to_v(text)[0], cross.heads);
  };
  const Tensor guided = nag_by_rows(attend(prompt), attend(nag.context), nag);
  tokens = cross.to_out->back()(guided.unsqueeze(0)) + tokens;
  const Tensor expected = block->ff(block->norm3(tokens)) + tokens;
  EXPECT_LE(max_error(got, expected), 1e-12);
}

TEST(Degradation, IdentityAttentionLooksAtNoOtherPosition) {
  const DegradedLayers identity{Degradation::kIdentityAttention};
  const TransformerHooks hooks{.degraded = &identity, .height = 1, .width = 5};
  const Tensor x = seeded_randn({1, 5, 64}, 4);
  TransformerBlock block =
      with_random_weights(TransformerBlock(64, TransformerOptions{.heads = 2, .cross_width = 24}));
  Tensor other = x.clone();
  other.narrow(1, 1, 4).normal_();
  const Tensor context = seeded_randn({1, 7, 24}, 5);
  const Tensor one = block->forward_hooked(x, context, hooks);
  EXPECT_LE(max_error(block->forward_hooked(other, context, hooks)[0][0], one[0][0]), 1e-5);
  EXPECT_GT(max_error(block(other, context)[0][0], block(x, context)[0][0]), 1e-3);
}

TEST_F(Hooks, OnlyChosenLayersAreDegraded) {
  const Tensor mid = degrade({Degradation::kIdentityAttention, {"mid"}, 0});
  const Tensor down = degrade({Degradation::kIdentityAttention, {"down.1"}, 0});
  const Tensor both = degrade({Degradation::kIdentityAttention, {"mid", "down.1.0"}, 0});
  EXPECT_GT(max_error(mid, plain_), 1e-4);
  EXPECT_GT(max_error(down, mid), 1e-4);
  EXPECT_GT(max_error(both, mid), 1e-4);
  EXPECT_TRUE(torch::equal(degrade({Degradation::kIdentityAttention, {"down.0"}, 0}), plain_));
}

TEST_F(Hooks, ASkippedTransformerIsOneWhoseOutputIsZero) {
  const Tensor skipped = degrade({Degradation::kSkipped, {"mid"}, 0});
  auto& out = (*unet_->mid_block->attentions)[0]->proj_out;
  out->weight.zero_();
  out->bias.zero_();
  EXPECT_LE(max_error(skipped, unet_(input_)), 1e-6);
}

TEST_F(Hooks, QueriesBlurredByNothingArePlainAndByFarAreTheirMean) {
  EXPECT_LE(max_error(degrade({Degradation::kBlurredQuery, {"mid"}, 0.01}), plain_), 1e-5);
  const Tensor mean = degrade({Degradation::kBlurredQuery, {"mid"}, kInfiniteBlur});
  const Tensor near = degrade({Degradation::kBlurredQuery, {"mid"}, 1});
  EXPECT_GT(max_error(mean, plain_), 1e-4);
  EXPECT_GT(max_error(near, plain_), 1e-4);
  EXPECT_LT(rms_error(near, plain_), rms_error(mean, plain_) * 1.5);
}

TEST_F(Hooks, TheMiddlesAttentionComesWithItsGrid) {
  AttentionMap map;
  UNetHooks hooks;
  hooks.middle_attention = &map;
  EXPECT_LE(max_error(run(hooks), plain_), 1e-6);
  EXPECT_EQ(map.height, 6);
  EXPECT_EQ(map.width, 8);
  EXPECT_EQ(map.probabilities.sizes(), (Shape{2, 2, 48, 48}));
  EXPECT_LE((map.probabilities.sum(-1) - 1).abs().max().item<double>(), 1e-5);
}

TEST_F(Hooks, FreeUWithNeutralFactorsIsPlainAndOthersAreNot) {
  UNetHooks hooks;
  for (const bool is_version_2 : {false, true}) {
    hooks.freeu = FreeUOptions{1, 1, 1, 1, is_version_2};
    EXPECT_LE(max_error(run(hooks), plain_), 1e-5);
    hooks.freeu = FreeUOptions{1, 1.4, 1, 1, is_version_2};
    EXPECT_GT(max_error(run(hooks), plain_), 1e-3) << "the level twice as wide as the first";
    hooks.freeu = FreeUOptions{1.3, 1, 0.9, 1, is_version_2};
    EXPECT_LE(max_error(run(hooks), plain_), 1e-5) << "no level is four times as wide";
  }
}

TEST_F(Hooks, WorkInBf16) {
  unet_->to(torch::kBFloat16);
  UNetHooks hooks;
  AttentionMap map;
  hooks.nag = NagGuidance{seeded_randn({1, 7, 24}, 3)};
  hooks.freeu = FreeUOptions{};
  hooks.middle_attention = &map;
  EXPECT_TRUE(run(hooks).isfinite().all().item<bool>());
  EXPECT_TRUE(degrade({Degradation::kBlurredQuery, {"mid"}, 1}).isfinite().all().item<bool>());
}

TEST(Layers, OfSdxlAreEleven) {
  UNetConfig config;
  config.levels = {
      {.channels = 320, .heads = 5, .down_depth = {0, 0}, .up_depth = {0, 0, 0}},
      {.channels = 640, .heads = 10, .down_depth = {2, 2}, .up_depth = {2, 2, 2}},
      {.channels = 1280, .heads = 20, .down_depth = {10, 10}, .up_depth = {10, 10, 10}}};
  config.mid_depth = 10;
  EXPECT_THAT(transformer_names(config),
              ::testing::ElementsAre("down.1.0", "down.1.1", "down.2.0", "down.2.1", "mid",
                                     "up.0.0", "up.0.1", "up.0.2", "up.1.0", "up.1.1", "up.1.2"));
  EXPECT_NO_THROW(check_layers("--pag-layers", {"mid", "up", "down.2", "up.1.2"}, config));
  for (const char* wrong : {"middle", "down.0", "up.2", "up.1.3", "u", ""}) {
    EXPECT_THROW(check_layers("--pag-layers", {wrong}, config), InvalidRequest) << wrong;
  }
  EXPECT_THROW(check_layers("--pag-layers", {}, config), InvalidRequest);
}

}  // namespace
}  // namespace fourstep
