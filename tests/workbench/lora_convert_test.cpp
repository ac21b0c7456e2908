#include "workbench/lora_convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "base/error.h"
#include "io/tensor_file.h"
#include "loras.h"

namespace fourstep {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const std::vector<LoraLayout>& layouts() {
  static const std::vector<LoraLayout> all = published_layouts();
  return all;
}

LoraSource source_of(NamedTensors tensors, Metadata metadata = {}) {
  LoraSource source;
  source.file.path = "x.safetensors";
  source.file.tensors = std::move(tensors);
  source.file.metadata = std::move(metadata);
  return source;
}

ConvertedLora converted(const LoraSource& source, LoraStyle to) {
  return convert_lora(source, layouts(), {to, {}, false});
}

LoraSource as_source(const ConvertedLora& lora) { return source_of(lora.tensors, lora.metadata); }

/// The same names, types, shapes and bytes.
void expect_equal(const NamedTensors& got, const NamedTensors& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_EQ(got.count(name), 1u) << name;
    const Tensor& other = got.at(name);
    EXPECT_EQ(other.scalar_type(), tensor.scalar_type()) << name;
    EXPECT_EQ(shape_of(other), shape_of(tensor)) << name;
    EXPECT_EQ(testing::bytes_of(other), testing::bytes_of(tensor)) << name;
  }
}

/// kohya's file of a UNet and both text encoders, linear layers and convolutions, ranks and alphas
/// mixed.
NamedTensors mixed_file(torch::ScalarType dtype) {
  torch::manual_seed(11);
  return kohya_tensors(by_id({{kQuery, random_module(kQuery, 4, 4, dtype)},
                              {kOut, random_module(kOut, 4, 2, dtype)},
                              {kConvolution, random_module(kConvolution, 3, 1, dtype)},
                              {kShortcut, random_module(kShortcut, 2, 0, dtype)},
                              {kText, random_module(kText, 4, 0.1, dtype)},
                              {kText2, random_module(kText2, 8, 4, dtype)}}),
                       sdxl(), dtype);
}

constexpr std::array kStyles = {LoraStyle::kKohya, LoraStyle::kKohyaLdm, LoraStyle::kPeft,
                                LoraStyle::kDiffusers};

TEST(LoraConvert, EveryWayThereAndBackReturnsTheSameTensors) {
  const LoraSource start = source_of(mixed_file(torch::kHalf), {{"ss_output_name", "style"}});
  for (const LoraStyle via : kStyles) {
    for (const LoraStyle onward : kStyles) {
      const ConvertedLora there = converted(as_source(converted(start, via)), onward);
      const ConvertedLora back = converted(as_source(there), LoraStyle::kKohya);
      SCOPED_TRACE(std::string(to_string(via)) + ", " + to_string(onward));
      expect_equal(back.tensors, start.file.tensors);
      EXPECT_EQ(back.metadata.at("ss_output_name"), "style");
    }
  }
}

TEST(LoraConvert, EveryStyleAddsTheSameToTheWeights) {
  const LoraSource start = source_of(mixed_file(torch::kFloat));
  const auto original = fit_lora(parse_lora(start.file), layouts()).modules();
  for (const LoraStyle style : kStyles) {
    const auto other =
        fit_lora(parse_lora(as_source(converted(start, style)).file), layouts()).modules();
    ASSERT_EQ(other.size(), original.size());
    for (const auto& [id, module] : original)
      EXPECT_EQ(compare_content(other.at(id), module), 0) << text_of(id) << to_string(style);
  }
}

TEST(LoraConvert, PeftToKohyaAndBackKeepsTensorsAndConfiguration) {
  const LoraSource peft =
      as_source(converted(source_of(mixed_file(torch::kHalf)), LoraStyle::kPeft));
  const ConvertedLora kohya = converted(peft, LoraStyle::kKohya);
  EXPECT_EQ(kohya.metadata.count("lora_adapter_metadata"), 0u)
      << "diffusers refuses it beside alpha tensors";
  const ConvertedLora back = converted(as_source(kohya), LoraStyle::kPeft);
  expect_equal(back.tensors, peft.file.tensors);
  EXPECT_EQ(back.metadata.at("lora_adapter_metadata"),
            peft.file.metadata.at("lora_adapter_metadata"));
}

TEST(LoraConvert, AlphasOfOtherTypesAndShapesComeBack) {
  NamedTensors tensors = mixed_file(torch::kHalf);
  for (auto& [name, tensor] : tensors) {
    if (name.ends_with(".alpha")) tensor = tensor.to(torch::kFloat).reshape({1});
  }
  const std::string odd = "lora_unet_down_blocks_1_resnets_0_conv_shortcut.alpha";
  tensors[odd] = torch::tensor(2, torch::kLong);
  const LoraSource start = source_of(tensors);
  const auto there = converted(start, LoraStyle::kPeft);
  expect_equal(converted(as_source(there), LoraStyle::kKohya).tensors, tensors);
}

TEST(LoraConvert, AFileWithoutAlphasGetsNone) {
  NamedTensors tensors = mixed_file(torch::kHalf);
  std::erase_if(tensors, [](const auto& item) { return item.first.ends_with(".alpha"); });
  const ConvertedLora there = converted(source_of(tensors), LoraStyle::kDiffusers);
  EXPECT_EQ(there.num_scaled, 0u);
  EXPECT_EQ(there.metadata.count("lora_adapter_metadata"), 0u);
  expect_equal(converted(as_source(there), LoraStyle::kKohya).tensors, tensors);
}

TEST(LoraConvert, FoldingMultipliesAlphaIntoTheUpFactors) {
  const std::string name = "unet.up_blocks.1.attentions.2.transformer_blocks.1.attn2.to_out.0";
  const LoraSource start = source_of(mixed_file(torch::kHalf));
  const ConvertedLora folded = convert_lora(start, layouts(), {LoraStyle::kPeft, {}, true});
  EXPECT_EQ(folded.metadata.count("lora_adapter_metadata"), 0u);
  const Tensor up = start.file.tensors.at(
      "lora_unet_up_blocks_1_attentions_2_transformer_blocks_1_attn2_to_out_0.lora_up.weight");
  EXPECT_TRUE(torch::equal(folded.tensors.at(name + ".lora_B.weight"), up * 0.5)) << "2 / 4";
  EXPECT_THROW(convert_lora(start, layouts(), {LoraStyle::kKohya, {}, true}), InvalidRequest);
}

TEST(LoraConvert, ATypeIsChangedOnRequestAlone) {
  const LoraSource start = source_of(mixed_file(torch::kFloat));
  const ConvertedLora half =
      convert_lora(start, layouts(), {LoraStyle::kKohya, torch::kHalf, false});
  for (const auto& [name, tensor] : half.tensors) {
    if (!name.ends_with(".alpha")) {
      EXPECT_EQ(tensor.scalar_type(), torch::kHalf) << name;
      EXPECT_TRUE(torch::equal(tensor, start.file.tensors.at(name).to(torch::kHalf)));
    }
  }
}

TEST(LoraConvert, WhatAStyleCannotExpressIsRefusedByName) {
  const std::string module = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q";
  const LoraSource loha = source_of({{module + ".hada_w1_a", torch::ones({640, 2})},
                                     {module + ".hada_w1_b", torch::ones({2, 640})},
                                     {module + ".hada_w2_a", torch::ones({640, 2})},
                                     {module + ".hada_w2_b", torch::ones({2, 640})},
                                     {module + ".alpha", torch::tensor(1.0)}});
  EXPECT_THAT(testing::message_of<Error>([&] { converted(loha, LoraStyle::kPeft); }),
              ::testing::AllOf(HasSubstr("hada_w"), HasSubstr("peft"), HasSubstr("kohya")));
  expect_equal(
      converted(as_source(converted(loha, LoraStyle::kKohyaLdm)), LoraStyle::kKohya).tensors,
      loha.file.tensors);
}

TEST(LoraConvert, DorasMagnitudesChangeTheirShape) {
  NamedTensors tensors = mixed_file(torch::kHalf);
  tensors["lora_unet_down_blocks_0_resnets_0_conv1.dora_scale"] =
      torch::rand({320, 1, 1, 1}).to(torch::kHalf);
  const ConvertedLora peft = converted(source_of(tensors), LoraStyle::kPeft);
  EXPECT_EQ(shape_of(peft.tensors.at("unet.down_blocks.0.resnets.0.conv1.lora_magnitude_vector")),
            (Shape{320}));
  expect_equal(converted(as_source(peft), LoraStyle::kKohya).tensors, tensors);
}

TEST(LoraConvert, AModuleOfAnotherFamilyIsRefused) {
  NamedTensors tensors = mixed_file(torch::kHalf);
  tensors["lora_unet_double_blocks_0_x.lora_down.weight"] = torch::ones({4, 8});
  tensors["lora_unet_double_blocks_0_x.lora_up.weight"] = torch::ones({8, 4});
  EXPECT_THAT(testing::message_of<Error>([&] { converted(source_of(tensors), LoraStyle::kPeft); }),
              HasSubstr("double_blocks"));
}

TEST(LoraConvert, DamagedNotesInTheMetadataDoNoHarm) {
  const NamedTensors tensors = mixed_file(torch::kHalf);
  const ConvertedLora there = converted(source_of(tensors), LoraStyle::kPeft);
  for (const char* note : {"", "[", "[]", "{\"*\":7}", "{\"*\":\"F99 0\"}", "{\"*\":\"F32 9\"}",
                           "{\"*\":\"absent\"}"}) {
    Metadata metadata = there.metadata;
    metadata["fourstep.lora_alphas"] = note;
    const auto back = converted(source_of(there.tensors, metadata), LoraStyle::kKohya);
    const auto fit = fit_lora(parse_lora(as_source(back).file), layouts());
    EXPECT_EQ(factor_of(fit.modules().at(id_of(kOut))), 0.5) << note;
  }
  Metadata parked = {{"fourstep.lora_adapter_metadata", "{\"unet.r\":4,\"unet.lora_alpha\":99}"}};
  const auto peft = converted(source_of(tensors, parked), LoraStyle::kPeft);
  EXPECT_EQ(peft.metadata.at("lora_adapter_metadata"), there.metadata.at("lora_adapter_metadata"));
}

TEST(LoraConvert, HashesOfTheOldBytesAreNotKept) {
  const auto lora = converted(source_of(mixed_file(torch::kHalf), {{"sshs_model_hash", "1"}}),
                              LoraStyle::kKohyaLdm);
  EXPECT_EQ(lora.metadata.count("sshs_model_hash"), 0u);
}

/// Tensors of the listed types and shapes; alphas hold `alpha`.
NamedTensors tensors_of(const json& list, double alpha) {
  NamedTensors tensors;
  for (const auto& [name, entry] : list.items()) {
    const torch::ScalarType dtype = *find_file_dtype(entry[0].get<std::string>())->scalar_type;
    const Shape shape = entry[1];
    tensors[name] =
        name.ends_with(".alpha") ? torch::full(shape, alpha, dtype) : torch::zeros(shape, dtype);
  }
  return tensors;
}

/// The tensors are those of the list: names, types, shapes.
void expect_listed(const NamedTensors& tensors, const json& list) {
  EXPECT_EQ(tensors.size(), list.size());
  for (const auto& [name, entry] : list.items()) {
    ASSERT_EQ(tensors.count(name), 1u) << name;
    EXPECT_EQ(find_file_dtype(tensors.at(name).scalar_type())->name, entry[0]) << name;
    EXPECT_EQ(shape_of(tensors.at(name)), entry[1].get<Shape>()) << name;
  }
}

TEST(GoldenLoraConvert, Dmd2sKohyaAndPeftListsMapOntoEachOther) {
  const auto kohya = testing::load_golden("dmd2_lora_kohya_fp16.json");
  const auto peft = testing::load_golden("dmd2_lora_peft_fp16.json");
  if (!kohya || !peft) GTEST_SKIP();
  const LoraSource start = source_of(tensors_of((*kohya)["tensors"], (*kohya)["alpha"]));
  const ConvertedLora there = converted(start, LoraStyle::kPeft);
  expect_listed(there.tensors, (*peft)["tensors"]);
  EXPECT_EQ(there.num_modules, (*kohya)["modules"].get<size_t>());
  const ConvertedLora back = converted(as_source(there), LoraStyle::kKohya);
  expect_listed(back.tensors, (*kohya)["tensors"]);
  const auto fit = fit_lora(parse_lora(as_source(back).file), layouts());
  for (const auto& [id, module] : fit.modules())
    EXPECT_EQ(factor_of(module), (*kohya)["scale"].get<double>());
  testing::report_golden("dmd2_lora_kohya_fp16.json", there.num_modules, 0);
}

TEST(GoldenLoraConvert, KohyasDefaultListSurvivesEveryStyle) {
  const auto golden = testing::load_golden("kohya_sdxl_lora_rank16.json");
  if (!golden) GTEST_SKIP();
  const LoraSource start = source_of(tensors_of((*golden)["tensors"], 16));
  for (const LoraStyle style : kStyles) {
    const ConvertedLora there = converted(start, style);
    expect_listed(converted(as_source(there), LoraStyle::kKohyaLdm).tensors, (*golden)["tensors"]);
  }
  testing::report_golden("kohya_sdxl_lora_rank16.json", (*golden)["modules"].get<size_t>(), 0);
}

const std::string kFeedForward =
    "unet.down_blocks.1.attentions.0.transformer_blocks.0.ff.net.0.proj";

/// PEFT's file of one layer with lora_bias; alpha is 2, the rank 4.
LoraSource biased_source() {
  return source_of({{kFeedForward + ".lora_A.weight", torch::randn({4, 640})},
                    {kFeedForward + ".lora_B.weight", torch::randn({5120, 4})},
                    {kFeedForward + ".lora_B.bias", torch::randn({5120})}},
                   {{"format", "pt"},
                    {"lora_adapter_metadata",
                     R"({"unet.r": 4, "unet.lora_alpha": 2, "unet.lora_bias": true})"}});
}

TEST(LoraConvert, ThePeftBiasIsTheDifferenceOfTheBiasInKohyasStyle) {
  torch::manual_seed(31);
  const LoraSource start = biased_source();
  const Tensor bias = start.file.tensors.at(kFeedForward + ".lora_B.bias");
  const ConvertedLora kohya = converted(start, LoraStyle::kKohya);
  const std::string key = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_ff_net_0_proj";
  EXPECT_TRUE(torch::equal(kohya.tensors.at(key + ".diff_b"), bias * 0.5));
  const ConvertedLora back = converted(as_source(kohya), LoraStyle::kPeft);
  expect_equal(back.tensors, start.file.tensors);
  EXPECT_EQ(json::parse(back.metadata.at("lora_adapter_metadata")).at("unet.lora_bias"), true);
  const ConvertedLora folded = convert_lora(start, layouts(), {LoraStyle::kPeft, {}, true});
  EXPECT_TRUE(torch::equal(folded.tensors.at(kFeedForward + ".lora_B.bias"), bias * 0.5));
  const ConvertedLora old = converted(start, LoraStyle::kDiffusers);
  EXPECT_EQ(old.tensors.count(kFeedForward + ".lora.up.bias"), 1u);
}

TEST(LoraConvert, FromKohyasBiasThePeftConfigurationIsMade) {
  torch::manual_seed(32);
  const std::string key = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_ff_net_0_proj";
  const ConvertedLora peft =
      converted(source_of({{key + ".lora_down.weight", torch::randn({4, 640})},
                           {key + ".lora_up.weight", torch::randn({5120, 4})},
                           {key + ".alpha", torch::tensor(1.0F)},
                           {key + ".diff_b", torch::ones({5120})}}),
                LoraStyle::kPeft);
  EXPECT_TRUE(
      torch::equal(peft.tensors.at(kFeedForward + ".lora_B.bias"), torch::full({5120}, 4.0F)));
  EXPECT_EQ(json::parse(peft.metadata.at("lora_adapter_metadata")).at("unet.lora_bias"), true);
}

TEST(LoraConvert, WholeWeightsAreSetWeightInKohyasStyleAndWholeBiasesHaveNoPlaceThere) {
  LoraSource start = biased_source();
  start.file.tensors["unet.conv_in.weight"] = torch::randn({320, 4, 3, 3});
  const ConvertedLora kohya = converted(start, LoraStyle::kKohya);
  EXPECT_EQ(kohya.tensors.count("lora_unet_conv_in.set_weight"), 1u);
  expect_equal(converted(as_source(kohya), LoraStyle::kPeft).tensors, start.file.tensors);
  EXPECT_THAT(testing::message_of<Error>([&] { converted(start, LoraStyle::kDiffusers); }),
              HasSubstr("cannot be expressed in the style diffusers"));
  start.file.tensors["unet.conv_in.bias"] = torch::randn({320});
  EXPECT_THAT(testing::message_of<Error>([&] { converted(start, LoraStyle::kKohya); }),
              HasSubstr("cannot be expressed in the style kohya"));
}

TEST(LoraConvert, OtherKindsStayWhatTheyAreInKohyasStylesAndAreRefusedElsewhere) {
  torch::manual_seed(33);
  for (const auto& [kind, module] : weight_dependent_modules()) {
    if (kind == "DoRA" || kind == "replaced weight") continue;
    const LoraSource start =
        source_of(kohya_tensors(by_id({{kQuery, module}}), sdxl(), torch::kFloat));
    const ConvertedLora ldm = converted(start, LoraStyle::kKohyaLdm);
    expect_equal(converted(as_source(ldm), LoraStyle::kKohya).tensors, start.file.tensors);
    EXPECT_THAT(testing::message_of<Error>([&] { converted(start, LoraStyle::kPeft); }),
                HasSubstr("cannot be expressed in the style peft"))
        << kind;
  }
}

TEST(LoraConvert, EmbeddingsStayUnlessTheyAreUnwantedAndEmptyModulesGo) {
  LoraSource start = biased_source();
  start.file.tensors["bundle_emb.cat.clip_l"] = torch::randn({2, 768});
  start.file.tensors["unet.conv_in.lora_A.weight"] = torch::empty({0, 4, 3, 3});
  start.file.tensors["unet.conv_in.lora_B.weight"] = torch::empty({320, 0, 1, 1});
  for (const LoraStyle style : {LoraStyle::kKohya, LoraStyle::kPeft}) {
    const ConvertedLora lora = converted(start, style);
    EXPECT_EQ(lora.tensors.count("bundle_emb.cat.clip_l"), 1u);
    EXPECT_EQ(lora.embeddings.count("cat"), 1u);
    EXPECT_EQ(lora.tensors.count("unet.conv_in.lora_A.weight"), 0u);
    ConvertOptions options{style, {}, false};
    options.drops_embeddings = true;
    EXPECT_EQ(convert_lora(start, layouts(), options).tensors.count("bundle_emb.cat.clip_l"), 0u);
  }
}
}  // namespace
}  // namespace fourstep
