#include "nets/unet_extras.h"

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

class Extras : public ::testing::Test {
 protected:
  UNet unet_ = with_random_weights(UNet(deep_config()));
  const UNetInput input_{.x = seeded_randn({2, 4, 12, 16}, 1),
                         .timestep = torch::full({2}, 499.0),
                         .context = seeded_randn({2, 7, 24}, 2)};
  const Tensor plain_ = unet_(input_);

  Tensor run(const UNetExtras& extras, const UNetInput* other = nullptr) {
    UNetInput input = other ? *other : input_;
    input.extras = &extras;
    return unet_(input);
  }
  Tensor with_terms(const std::vector<AttentionTerm>& terms, const UNetInput* other = nullptr) {
    UNetExtras extras;
    extras.attention_terms = terms;
    return run(extras, other);
  }
  Tensor degrade(const DegradedLayers& layers) {
    UNetExtras extras;
    extras.degraded = layers;
    return run(extras);
  }
};

TEST_F(Extras, WithoutContentChangeNoBit) { EXPECT_TRUE(torch::equal(run({}), plain_)); }

TEST_F(Extras, TermsActOnTheLastSamplesAlone) {
  const UNetInput second{.x = input_.x.narrow(0, 1, 1),
                         .timestep = input_.timestep.narrow(0, 1, 1),
                         .context = input_.context.narrow(0, 1, 1)};
  const Tensor context = seeded_randn({1, 7, 24}, 3);
  for (const AttentionTerm& term :
       {AttentionTerm{context, NagGuidance{}}, AttentionTerm{context, AddedContext{0.5}}}) {
    const Tensor guided = with_terms({term});
    EXPECT_LE(max_error(guided[0], plain_[0]), 1e-5);
    EXPECT_GT(max_error(guided[1], plain_[1]), 1e-2);
    EXPECT_LE(max_error(with_terms({term}, &second)[0], guided[1]), 1e-5);
  }
}

TEST_F(Extras, NagAwayFromThePromptItselfIsPlain) {
  const NagGuidance nag{11, 2.5, 0.5};
  EXPECT_LE(max_error(with_terms({{input_.context.repeat({1, 2, 1}), nag}}), plain_), 1e-5);
}

TEST_F(Extras, AContextAddedWithWeightZeroIsPlain) {
  EXPECT_LE(max_error(with_terms({{seeded_randn({2, 3, 24}, 3), AddedContext{0}}}), plain_), 1e-5);
}

TEST_F(Extras, TermsThatDoNotFitAreRefused) {
  EXPECT_THROW(with_terms({{seeded_randn({1, 7, 25}, 3), NagGuidance{}}}), Error);
  EXPECT_THROW(with_terms({{seeded_randn({3, 7, 24}, 3), NagGuidance{}}}), Error);
  EXPECT_THROW(with_terms({{seeded_randn({1, 7, 25}, 3), AddedContext{}}}), Error);
  EXPECT_THROW(with_terms({{seeded_randn({3, 7, 24}, 3), AddedContext{}}}), Error);
  EXPECT_THROW(with_terms({{seeded_randn({1, 0, 24}, 3), AddedContext{}}}), Error);
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

/// A transformer block in fp64, and its attention to the text written out once more.
class TermsInABlock : public ::testing::Test {
 protected:
  static Tensor wide(const Tensor& t) { return t.to(torch::kFloat64); }

  TermsInABlock() { block_->to(torch::kFloat64); }

  Tensor run(const std::vector<AttentionTerm>& terms) {
    const auto extras = std::make_shared<UNetExtras>();
    extras->attention_terms = terms;
    std::vector<Tensor> contexts{prompt_};
    for (const AttentionTerm& term : terms) {
      if (std::holds_alternative<NagGuidance>(term.entry)) contexts.push_back(term.context);
    }
    const AttentionCall self{.height = 2, .width = 3};
    return block_(x_, BlockCall{.context = cat_contexts(contexts), .extras = extras}, self);
  }

  /// Of the queries to keys and values.
  Tensor attend(const Tensor& k, const Tensor& v) const {
    return all_heads(q_, k, v, block_->attn2->heads);
  }
  Tensor attend(const Tensor& text) {
    return attend(block_->attn2->to_k(text)[0], block_->attn2->to_v(text)[0]);
  }
  /// The block's output when attention to the text gives z before the output projection.
  Tensor finish(const Tensor& z) {
    const Tensor tokens = block_->attn2->to_out->back()(z.unsqueeze(0)) + tokens_;
    return block_->ff(block_->norm3(tokens)) + tokens;
  }

  TransformerBlock block_ =
      with_random_weights(TransformerBlock(64, TransformerOptions{.heads = 2, .cross_width = 24}));
  const Tensor x_ = wide(seeded_randn({1, 6, 64}, 1)), prompt_ = wide(seeded_randn({1, 5, 24}, 2));
  const Tensor negative_ = wide(seeded_randn({1, 5, 24}, 3)),
               picture_ = wide(seeded_randn({1, 4, 24}, 4));
  Tensor tokens_, q_;  ///< after self attention

  void SetUp() override {
    const Tensor normed = block_->norm1(x_);
    tokens_ = block_->attn1(normed, normed) + x_;
    q_ = block_->attn2->to_q(block_->norm2(tokens_))[0];
  }
};

TEST_F(TermsInABlock, NagEqualsThePaper) {
  const NagGuidance nag{4, 1.3, 0.6};
  const Tensor expected = finish(nag_by_rows(attend(prompt_), attend(negative_), nag));
  EXPECT_LE(max_error(run({{negative_, nag}}), expected), 1e-12);
}

TEST_F(TermsInABlock, AnAddedContextEqualsTheFormulaWithTheLayersProjectionsOrItsOwn) {
  const Tensor expected = finish(attend(prompt_) + 0.7 * attend(picture_));
  EXPECT_LE(max_error(run({{picture_, AddedContext{0.7}}}), expected), 1e-12);

  const Tensor other = wide(seeded_randn({1, 4, 10}, 5));
  const KeyValueWeights own{wide(seeded_randn({64, 10}, 6)), wide(seeded_randn({64, 10}, 7))};
  using Map = std::unordered_map<const nn::Module*, KeyValueWeights>;
  const auto projections = std::make_shared<const Map>(Map{{block_->attn2.get(), own}});
  const Tensor by_own = attend(other[0].matmul(own.to_k.t()), other[0].matmul(own.to_v.t()));
  EXPECT_LE(max_error(run({{other, AddedContext{-0.4, projections}}}),
                      finish(attend(prompt_) - 0.4 * by_own)),
            1e-12);
  const auto elsewhere = std::make_shared<const Map>();
  EXPECT_TRUE(torch::equal(run({{other, AddedContext{1, elsewhere}}}), run({})))
      << "a layer without projections adds nothing";
}

TEST_F(TermsInABlock, NagAndAnAddedContextActTogetherInEitherOrder) {
  const NagGuidance nag{4, 1.3, 0.6};
  const AttentionTerm away{negative_, nag}, to_picture{picture_, AddedContext{0.7}};
  const Tensor z = attend(prompt_);
  const Tensor expected = finish(nag_by_rows(z, attend(negative_), nag) + 0.7 * attend(picture_));
  const Tensor got = run({away, to_picture});
  EXPECT_LE(max_error(got, expected), 1e-12);
  EXPECT_TRUE(torch::equal(run({to_picture, away}), got));
}

TEST_F(TermsInABlock, TwoNegativePromptsPushFromThePromptsOwnResult) {
  const NagGuidance one{4, 1.3, 0.6}, two{2, 5, 0.3};
  const Tensor z = attend(prompt_), other = wide(seeded_randn({1, 5, 24}, 8));
  const Tensor expected =
      finish(nag_by_rows(z, attend(negative_), one) + nag_by_rows(z, attend(other), two) - z);
  EXPECT_LE(max_error(run({{negative_, one}, {other, two}}), expected), 1e-12);
  EXPECT_LE(max_error(run({{other, two}, {negative_, one}}), expected), 1e-12);
}

TEST(Degradation, IdentityAttentionLooksAtNoOtherPosition) {
  const DegradedLayers identity{Degradation::kIdentityAttention};
  const AttentionCall self{.degraded = &identity, .height = 1, .width = 5};
  const Tensor x = seeded_randn({1, 5, 64}, 4);
  TransformerBlock block =
      with_random_weights(TransformerBlock(64, TransformerOptions{.heads = 2, .cross_width = 24}));
  Tensor other = x.clone();
  other.narrow(1, 1, 4).normal_();
  const BlockCall call{.context = seeded_randn({1, 7, 24}, 5)};
  EXPECT_LE(max_error(block(other, call, self)[0][0], block(x, call, self)[0][0]), 1e-5);
  EXPECT_GT(max_error(block(other, call)[0][0], block(x, call)[0][0]), 1e-3);
}

TEST_F(Extras, OnlyChosenLayersAreDegraded) {
  const Tensor mid = degrade({Degradation::kIdentityAttention, {"mid"}, 0});
  const Tensor down = degrade({Degradation::kIdentityAttention, {"down.1"}, 0});
  const Tensor both = degrade({Degradation::kIdentityAttention, {"mid", "down.1.0"}, 0});
  EXPECT_GT(max_error(mid, plain_), 1e-4);
  EXPECT_GT(max_error(down, mid), 1e-4);
  EXPECT_GT(max_error(both, mid), 1e-4);
  EXPECT_TRUE(torch::equal(degrade({Degradation::kIdentityAttention, {"down.0"}, 0}), plain_));
}

TEST_F(Extras, ASkippedTransformerIsOneWhoseOutputIsZero) {
  const Tensor skipped = degrade({Degradation::kSkipped, {"mid"}, 0});
  auto& out = (*unet_->mid_block->attentions)[0]->proj_out;
  out->weight.zero_();
  out->bias.zero_();
  EXPECT_LE(max_error(skipped, unet_(input_)), 1e-6);
}

TEST_F(Extras, QueriesBlurredByNothingArePlainAndByFarAreTheirMean) {
  EXPECT_LE(max_error(degrade({Degradation::kBlurredQuery, {"mid"}, 0.01}), plain_), 1e-5);
  const Tensor mean = degrade({Degradation::kBlurredQuery, {"mid"}, kInfiniteBlur});
  const Tensor near = degrade({Degradation::kBlurredQuery, {"mid"}, 1});
  EXPECT_GT(max_error(mean, plain_), 1e-4);
  EXPECT_GT(max_error(near, plain_), 1e-4);
  EXPECT_LT(rms_error(near, plain_), rms_error(mean, plain_) * 1.5);
}

TEST_F(Extras, TheMiddlesAttentionComesWithItsGrid) {
  AttentionMap map;
  UNetExtras extras;
  extras.middle_attention = &map;
  EXPECT_LE(max_error(run(extras), plain_), 1e-6);
  EXPECT_EQ(map.height, 6);
  EXPECT_EQ(map.width, 8);
  EXPECT_EQ(map.probabilities.sizes(), (Shape{2, 2, 48, 48}));
  EXPECT_LE((map.probabilities.sum(-1) - 1).abs().max().item<double>(), 1e-5);
}

TEST_F(Extras, FreeUWithNeutralFactorsIsPlainAndOthersAreNot) {
  UNetExtras extras;
  for (const bool is_version_2 : {false, true}) {
    extras.freeu = FreeUOptions{1, 1, 1, 1, is_version_2};
    EXPECT_LE(max_error(run(extras), plain_), 1e-5);
    extras.freeu = FreeUOptions{1, 1.4, 1, 1, is_version_2};
    EXPECT_GT(max_error(run(extras), plain_), 1e-3) << "the level twice as wide as the first";
    extras.freeu = FreeUOptions{1.3, 1, 0.9, 1, is_version_2};
    EXPECT_LE(max_error(run(extras), plain_), 1e-5) << "no level is four times as wide";
  }
}

/// The parts of the forward pass in a row, with residuals added where diffusers'
/// UNet2DConditionModel adds down_block_additional_residuals and mid_block_additional_residual
/// (down: ComfyUI's control "input").
Tensor forward_by_hand(UNet unet, const UNetInput& input, const UNetResiduals& residuals) {
  const BlockCall call{.temb = unet->time_embedding(sinusoidal_embedding(input.timestep, 32)),
                       .context = input.context};
  std::vector<Tensor> skips;
  Tensor x = unet->conv_in(input.x);
  const auto keep = [&](const Tensor& map) {
    x = residuals.down.empty() ? map : map + residuals.down[skips.size()];
    skips.push_back(x);
  };
  keep(x);
  for (auto& block : *unet->down_blocks) {
    for (size_t i = 0; i < block->resnets->size(); ++i) keep(block->run_layer(i, x, call));
    for (auto& downsampler : *block->downsamplers) keep(downsampler(x));
  }
  x = unet->mid_block(x, call);
  if (residuals.middle.defined()) x = x + residuals.middle;
  for (size_t i = 0; i < residuals.skips.size(); ++i) skips[i] = skips[i] + residuals.skips[i];
  for (auto& block : *unet->up_blocks) {
    for (size_t i = 0; i < block->resnets->size(); ++i) {
      x = block->run_layer(i, torch::cat({x, skips.back()}, 1), call);
      skips.pop_back();
    }
    for (auto& upsampler : *block->upsamplers) x = upsampler(x, 12, 16);
  }
  return unet->conv_out(at::silu(unet->conv_norm_out(x)));
}

TEST_F(Extras, ResidualsAreAddedToSkipsDownPathAndMiddle) {
  const std::vector<Shape> shapes = {
      {2, 32, 12, 16}, {2, 32, 12, 16}, {2, 32, 6, 8}, {2, 64, 6, 8}};
  UNetResiduals all;
  for (size_t i = 0; i < shapes.size(); ++i) {
    all.skips.push_back(seeded_randn(shapes[i], 10 + i));
    all.down.push_back(seeded_randn(shapes[i], 20 + i));
  }
  all.middle = seeded_randn(shapes.back(), 30);
  EXPECT_LE(max_error(plain_, forward_by_hand(unet_, input_, {})), 1e-6);
  std::vector<Tensor> results{plain_};
  for (const UNetResiduals& some :
       {UNetResiduals{.skips = all.skips}, UNetResiduals{.down = all.down},
        UNetResiduals{.middle = all.middle}, all}) {
    UNetExtras extras;
    extras.residuals = some;
    const Tensor got = run(extras);
    EXPECT_LE(max_error(got, forward_by_hand(unet_, input_, some)), 1e-6);
    for (const Tensor& other : results) EXPECT_GT(max_error(got, other), 1e-2);
    results.push_back(got);
  }
}

TEST_F(Extras, ResidualsThatDoNotFitAreRefused) {
  UNetExtras extras;
  extras.residuals.skips = {torch::zeros({2, 32, 12, 16})};
  EXPECT_THROW(run(extras), Error) << "one for each";
  extras.residuals.skips = std::vector<Tensor>(4);
  EXPECT_TRUE(torch::equal(run(extras), plain_)) << "undefined ones are left out";
  extras.residuals.skips[2] = torch::zeros({2, 32, 12, 16});
  EXPECT_THROW(run(extras), Error) << "that skip is half as large";
  extras.residuals = {.middle = torch::zeros({2, 64, 6, 9})};
  EXPECT_THROW(run(extras), Error);
}

TEST_F(Extras, ACallCanBeEndedBetweenLayers) {
  int layers = 0;
  UNetExtras extras;
  extras.between_layers = [&] { ++layers; };
  EXPECT_TRUE(torch::equal(run(extras), plain_));
  EXPECT_EQ(layers, 2 + 2 + 4) << "resnets of down path, middle and up path";
  extras.between_layers = [&] {
    if (--layers == 5) throw Error("enough");
  };
  EXPECT_THROW(run(extras), Error);
  EXPECT_EQ(layers, 5);
  EXPECT_TRUE(torch::equal(run({}), plain_)) << "nothing stays behind";
}

TEST_F(Extras, WorkInBf16) {
  unet_->to(torch::kBFloat16);
  UNetExtras extras;
  AttentionMap map;
  extras.attention_terms = {{seeded_randn({1, 7, 24}, 3), NagGuidance{}},
                            {seeded_randn({1, 3, 24}, 4), AddedContext{0.5}}};
  extras.freeu = FreeUOptions{};
  extras.middle_attention = &map;
  EXPECT_TRUE(run(extras).isfinite().all().item<bool>());
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
