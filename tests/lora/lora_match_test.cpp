#include "lora/lora_match.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <cmath>
#include <set>

#include "base/error.h"
#include "lora/fuse.h"

namespace fourstep {

namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kAttention = "down_blocks.1.attentions.0.transformer_blocks.0.attn2";

Tensor counted(const Shape& shape) {
  int64_t numel = 1;
  for (const int64_t n : shape) numel *= n;
  return torch::arange(1, numel + 1, torch::kFloat).reshape(shape) * 0.01;
}

LoraTargets targets_of_width(int64_t width) {
  const NamedShapes unet{
      {kAttention + ".to_k.weight", {6, width}},     {kAttention + ".to_v.weight", {6, width}},
      {kAttention + ".to_out.0.weight", {6, 6}},     {kAttention + ".to_out.0.bias", {6}},
      {"down_blocks.0.resnets.0.norm1.weight", {6}}, {"down_blocks.0.resnets.0.norm1.bias", {6}}};
  const std::string layer = "text_model.encoder.layers.0.self_attn.";
  NamedShapes text;
  for (const char* name : {"q_proj", "k_proj", "v_proj"}) {
    text[layer + name + ".weight"] = {4, 4};
    text[layer + name + ".bias"] = {4};
  }
  return {{{Component::kUnet, unet}, {Component::kTextEncoder, text}}, {}};
}

NamedTensors low_rank(const std::string& module, int64_t out, int64_t in) {
  return {{module + ".lora_down.weight", counted({2, in})},
          {module + ".lora_up.weight", counted({out, 2})}};
}

LoraFile lora_of(std::vector<NamedTensors> parts) {
  TensorFile file;
  file.path = "style.safetensors";
  for (NamedTensors& part : parts) file.tensors.merge(part);
  return parse_lora(file);
}

std::string message_of(const LoraMatch& match, bool is_partial_allowed = false) {
  try {
    check_complete(match, is_partial_allowed);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

const std::string kKey = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k";

TEST(LoraMatch, AnSd15LoraOnSdxlNamesBothFamilies) {
  const LoraMatch match = match_lora(lora_of({low_rank(kKey, 6, 768)}), targets_of_width(2048));
  EXPECT_THAT(message_of(match),
              AllOf(HasSubstr("style.safetensors"), HasSubstr("1 of 1 modules"), HasSubstr(kKey),
                    HasSubstr("SD 1.5 (cross-attention width 768)"),
                    HasSubstr("the model is SDXL (cross-attention width 2048)")));
  EXPECT_THAT(message_of(match, true), HasSubstr("1 of 1")) << "nothing matched is always an error";
}

TEST(LoraMatch, AnSdxlLoraOnSd15NamesBothFamilies) {
  const LoraMatch match = match_lora(lora_of({low_rank(kKey, 6, 2048)}), targets_of_width(768));
  EXPECT_THAT(match.likely_cause,
              AllOf(HasSubstr("LoRA for SDXL"), HasSubstr("the model is SD 1.5")));
}

TEST(LoraMatch, ABiasForALayerWithoutOneIsNamed) {
  NamedTensors tensors = low_rank(kKey, 6, 2048);
  tensors[kKey + ".lora_up.bias"] = counted({6});
  const LoraMatch match = match_lora(lora_of({tensors}), targets_of_width(2048));
  EXPECT_THAT(message_of(match),
              AllOf(HasSubstr(kKey), HasSubstr("adds to the bias of a layer that has none")));
}

TEST(LoraMatch, NotesTellOfEmptyModulesAndReplacedWeights) {
  const std::string out = "unet." + kAttention + ".to_out.0";
  const LoraMatch match =
      match_lora(lora_of({low_rank(kKey, 6, 2048),
                          {{out + ".weight", counted({6, 6})},
                           {out + ".bias", counted({6})},
                           {"lora_unet_x.lora_down.weight", torch::empty({0, 6})},
                           {"lora_unet_x.lora_up.weight", torch::empty({6, 0})},
                           {"bundle_emb.cat.clip_l_out", counted({1, 4})}}}),
                 targets_of_width(2048));
  EXPECT_EQ(message_of(match), "");
  EXPECT_THAT(match.notes,
              ::testing::ElementsAre(
                  HasSubstr("1 module of rank 0 adds nothing (first: \"lora_unet_x\")"),
                  HasSubstr("2 weights and biases are replaced"), HasSubstr("clip_l_out")));
  EXPECT_EQ(match.embeddings.count("cat"), 1U);
}

TEST(LoraMatch, RowsOfARotationAreNamedWhereTheyDoNotFit) {
  const std::string key =
      "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_out_0";
  const LoraMatch match = match_lora(lora_of({{{key + ".oft_blocks", torch::zeros({2, 4, 4})}}}),
                                     targets_of_width(2048));
  EXPECT_THAT(message_of(match), HasSubstr("[8] for a weight of shape [6,6]"));
}

TEST(LoraMatch, ForeignFamiliesAreNamed) {
  const std::map<std::string, std::string> families = {
      {"lora_unet_double_blocks_0_img_attn_proj", "Flux"},
      {"transformer.single_transformer_blocks.0.attn.to_q", "Flux"},
      {"lora_unet_joint_blocks_0_x_block_attn_qkv", "SD 3"},
      {"lora_prior_unet_x", "Stable Cascade"}};
  for (const auto& [name, family] : families) {
    const LoraMatch match = match_lora(lora_of({low_rank(name, 6, 6)}), targets_of_width(2048));
    EXPECT_THAT(match.likely_cause, HasSubstr(family)) << name;
  }
}

TEST(LoraMatch, AMissingTextEncoderIsTheCause) {
  const LoraMatch match =
      match_lora(lora_of({low_rank("lora_te2_text_model_encoder_layers_0_mlp_fc1", 4, 4)}),
                 targets_of_width(8));
  EXPECT_THAT(match.likely_cause, HasSubstr("the model has no text_encoder_2"));
}

TEST(LoraMatch, AWrongShapeSaysBothShapes) {
  const LoraMatch match = match_lora(lora_of({low_rank(kKey, 5, 8)}), targets_of_width(8));
  EXPECT_THAT(match.likely_cause, AllOf(HasSubstr("[5,8]"), HasSubstr("[6,8]")));
}

TEST(LoraMatch, PartIsAllowedOnlyOnRequest) {
  const LoraMatch match = match_lora(
      lora_of({low_rank(kKey, 6, 8), low_rank("lora_unet_nothing", 6, 8)}), targets_of_width(8));
  EXPECT_THAT(message_of(match), AllOf(HasSubstr("1 of 2 modules"), HasSubstr("lora_unet_nothing"),
                                       HasSubstr("--lora-partial applies the other 1")));
  EXPECT_EQ(message_of(match, true), "");
  EXPECT_EQ(summary(match), "1/2 modules");
  ASSERT_EQ(match.matched.size(), 1U);
  EXPECT_EQ(match.matched[0].parameter, kAttention + ".to_k.weight");
}

TEST(LoraMatch, UnknownKeysCountAsUnmatched) {
  LoraFile file = lora_of({low_rank(kKey, 6, 8)});
  file.unknown_keys.push_back("mystery");
  EXPECT_THAT(message_of(match_lora(file, targets_of_width(8))), HasSubstr("mystery"));
}

TEST(LoraMatch, BiasesAndNormsGetTheirOwnDifferences) {
  const LoraMatch match =
      match_lora(lora_of({{{"unet." + kAttention + ".to_out.0.diff", counted({6, 6})},
                           {"unet." + kAttention + ".to_out.0.diff_b", counted({6})},
                           {"unet.down_blocks.0.resnets.0.norm1.w_norm", counted({6})},
                           {"unet.down_blocks.0.resnets.0.norm1.b_norm", counted({6})}}}),
                 targets_of_width(8));
  EXPECT_EQ(summary(match), "2/2 modules");
  ASSERT_EQ(match.matched.size(), 4U);
  for (const MatchedModule& m : match.matched) {
    const Shape shape = m.parameter.ends_with("to_out.0.weight") ? Shape{6, 6} : Shape{6};
    EXPECT_TRUE(torch::equal(delta(m.module, shape), counted(shape))) << m.parameter;
  }
}

TEST(LoraMatch, ADifferenceOfABiasThatTheModelLacksIsUnmatched) {
  const LoraMatch match = match_lora(
      lora_of({low_rank(kKey, 6, 8), {{kKey + ".diff_b", counted({6})}}}), targets_of_width(8));
  EXPECT_EQ(match.matched.size(), 0U) << "no half of a module is applied";
  EXPECT_EQ(match.unmatched.size(), 1U);
}

TEST(LoraMatch, TwoNamesOfOneWeightAreNotAddedTwice) {
  const LoraMatch match =
      match_lora(lora_of({low_rank(kKey, 6, 8), low_rank("unet." + kAttention + ".to_k", 6, 8)}),
                 targets_of_width(8));
  EXPECT_EQ(match.matched.size(), 1U);
  EXPECT_EQ(match.unmatched.size(), 1U);
}

TEST(LoraMatch, AFusedProjectionIsSplitIntoItsRows) {
  const NamedTensors fused = {
      {"lora_te_transformer_resblocks_0_attn_in_proj.lora_down.weight", counted({2, 4})},
      {"lora_te_transformer_resblocks_0_attn_in_proj.lora_up.weight", counted({12, 2})},
      {"lora_te_transformer_resblocks_0_attn_in_proj.diff_b", counted({12})}};
  const LoraMatch match = match_lora(lora_of({fused}), targets_of_width(8));
  EXPECT_EQ(summary(match), "1/1 modules (1 text_encoder)");
  ASSERT_EQ(match.matched.size(), 6U);
  const Tensor whole = torch::mm(counted({12, 2}), counted({2, 4}));
  const std::map<std::string, int64_t> begins = {{"q_proj", 0}, {"k_proj", 4}, {"v_proj", 8}};
  for (const MatchedModule& m : match.matched) {
    const bool is_bias = m.parameter.ends_with(".bias");
    const std::string tail = m.parameter.substr(0, m.parameter.rfind('.'));
    const int64_t begin = begins.at(tail.substr(tail.rfind('.') + 1));
    const Tensor expected = (is_bias ? counted({12}) : whole).narrow(0, begin, 4);
    EXPECT_TRUE(
        torch::allclose(delta(m.module, is_bias ? Shape{4} : Shape{4, 4}), expected, 1e-6, 0));
  }
}

TEST(LoraMatch, PeftNamesWithoutComponentGoWhereTheyFit) {
  const NamedShapes text{{"text_model.encoder.layers.0.mlp.fc1.weight", {8, 4}}};
  const NamedShapes text_2{{"text_model.encoder.layers.0.mlp.fc1.weight", {16, 6}}};
  const LoraTargets targets({{Component::kTextEncoder, text}, {Component::kTextEncoder2, text_2}},
                            {});
  const LoraMatch match = match_lora(
      lora_of({low_rank("base_model.model.text_model.encoder.layers.0.mlp.fc1", 16, 6)}), targets);
  ASSERT_EQ(match.matched.size(), 1U);
  EXPECT_EQ(match.matched[0].component, Component::kTextEncoder2);
}

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
