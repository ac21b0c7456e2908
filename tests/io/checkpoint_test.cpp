#include "io/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "io/safetensors.h"
#include "io/single_file.h"
#include "key_tables.h"
#include "support/files.h"
#include "support/golden.h"
#include "support/scaled_fp8.h"
#include "tiny_model.h"

namespace fourstep {

namespace {

using testing::equal_tensors;
using ::testing::HasSubstr;
using testing::message_of;

/// A safetensors file in a folder of its own.
struct SavedFile {
  explicit SavedFile(const NamedTensors& tensors, const Metadata& metadata = {})
      : path(folder.path() / "model.safetensors") {
    write_safetensors(path, tensors, metadata);
  }
  testing::TemporaryFolder folder;
  std::filesystem::path path;
};

NamedTensors with_prefix(const NamedTensors& tensors, const std::string& prefix) {
  NamedTensors out;
  for (const auto& [name, tensor] : tensors) out[prefix + name] = tensor;
  return out;
}

std::string refusal_of(const NamedTensors& tensors) {
  const SavedFile file(tensors);
  return message_of<Error>([&] { open_checkpoint(file.path); });
}

TEST(Checkpoint, ASingleFileGivesTheComponentsItWasMadeFrom) {
  const Checkpoint model = testing::tiny_sdxl();
  const TensorFile single = single_file_of(model);
  const SavedFile file(single.tensors, single.metadata);
  const Checkpoint opened = open_checkpoint(file.path);
  EXPECT_EQ(opened.family, Family::kSdxl);
  EXPECT_EQ(opened.prediction, Prediction::kEps);
  EXPECT_FALSE(opened.zero_terminal_snr);
  for (const Component component : all_components())
    EXPECT_TRUE(equal_tensors(opened.components.at(component), model.components.at(component)));
}

TEST(Checkpoint, AFileWithoutVaeOrTextEncodersOpensWithWhatItHas) {
  Checkpoint model = testing::tiny_sdxl();
  model.components.erase(Component::kVae);
  model.components.erase(Component::kTextEncoder);
  const SavedFile file(single_file_of(model).tensors);
  const Checkpoint opened = open_checkpoint(file.path);
  EXPECT_TRUE(opened.has(Component::kUnet));
  EXPECT_FALSE(opened.has(Component::kVae));
  EXPECT_FALSE(opened.has(Component::kTextEncoder));
  EXPECT_TRUE(opened.has(Component::kTextEncoder2));
}

TEST(Checkpoint, AUNetAloneOpensInEitherLayoutWithAnyPrefix) {
  const NamedTensors unet = testing::tiny_sdxl().components.at(Component::kUnet);
  NamedTensors ldm;
  for (const auto& [name, other] : ldm_unet_names(shapes_of(unet))) ldm[other] = unet.at(name);
  for (const NamedTensors& tensors :
       {unet, ldm, with_prefix(ldm, "model.diffusion_model."), with_prefix(ldm, "diffusion_model."),
        with_prefix(unet, "unet.")}) {
    const SavedFile file(tensors);
    const Checkpoint opened = open_checkpoint(file.path);
    EXPECT_EQ(opened.components.size(), 1u);
    EXPECT_TRUE(equal_tensors(opened.components.at(Component::kUnet), unet));
  }
}

TEST(Checkpoint, MarkersAndMetadataSetThePrediction) {
  NamedTensors tensors = testing::tiny_sdxl().components.at(Component::kUnet);
  EXPECT_EQ(model_source_of({"x", tensors, {{"modelspec.prediction_type", "v"}}, nullptr})
                .checkpoint.prediction,
            Prediction::kV);
  EXPECT_EQ(model_source_of({"x", tensors, {{"modelspec.predict_key", "v"}}, nullptr})
                .checkpoint.prediction,
            Prediction::kV);
  EXPECT_EQ(model_source_of({"x", tensors, {{"modelspec.prediction_type", "epsilon"}}, nullptr})
                .checkpoint.prediction,
            Prediction::kEps);
  tensors["v_pred"] = torch::zeros({0});
  tensors["ztsnr"] = torch::zeros({0});
  const SavedFile file(tensors);
  const Checkpoint opened = open_checkpoint(file.path);
  EXPECT_EQ(opened.prediction, Prediction::kV);
  EXPECT_TRUE(opened.zero_terminal_snr);
}

/// Whether all parameters of both have the same values.
void expect_same_values(const Checkpoint& a, const Checkpoint& b) {
  ASSERT_EQ(a.components.size(), b.components.size());
  for (const auto& [component, weights] : b.components) {
    ASSERT_EQ(a.components.at(component).size(), weights.size()) << to_string(component);
    for (const auto& [name, weight] : weights)
      EXPECT_TRUE(torch::equal(aligned(a.components.at(component).at(name)), aligned(weight)))
          << name;
  }
}

TEST(Checkpoint, ScaledFp8HasItsTrueValuesUnderAllPrefixes) {
  const testing::ScaledFp8 whole =
      testing::scaled_fp8_of(single_file_of(testing::tiny_sdxl()).tensors);
  const SavedFile scaled(whole.scaled), truth(whole.truth);
  expect_same_values(open_checkpoint(scaled.path), open_checkpoint(truth.path));
  const NamedTensors unet = testing::tiny_sdxl().components.at(Component::kUnet);
  const testing::ScaledFp8 alone = testing::scaled_fp8_of(unet);
  for (const char* prefix : {"", "unet.", "diffusion_model.", "model.diffusion_model."}) {
    const SavedFile file(with_prefix(alone.scaled, prefix)),
        plain(with_prefix(alone.truth, prefix));
    expect_same_values(open_checkpoint(file.path), open_checkpoint(plain.path));
  }
}

TEST(Checkpoint, ASeparateVaeInScaledFp8HasItsTrueValues) {
  const testing::ScaledFp8 vae =
      testing::scaled_fp8_of(testing::tiny_sdxl().components.at(Component::kVae));
  const SavedFile scaled(vae.scaled), truth(vae.truth);
  const NamedTensors expected = open_vae(truth.path), found = open_vae(scaled.path);
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, weight] : expected)
    EXPECT_TRUE(torch::equal(aligned(found.at(name)), aligned(weight))) << name;
}

TEST(Checkpoint, IntegerWeightsAreRefusedWhereverTheyStand) {
  for (const std::string key :
       {"model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.decoder.conv_in.bias",
        "first_stage_model.decoder.mid.attn_1.q.weight",
        "conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_weight"}) {
    NamedTensors tensors = single_file_of(testing::tiny_sdxl()).tensors;
    tensors.at(key) = tensors.at(key).to(torch::kChar);
    EXPECT_THAT(refusal_of(tensors), HasSubstr("quantised (int8 without a scale), key \"" + key));
    const SavedFile file(tensors);
    const ModelSource source = open_model_source(file.path);
    EXPECT_EQ(source.recognition.name, "SDXL") << "described all the same";
  }
}

TEST(Checkpoint, PackedWeightsAreRefusedWhateverTheirShapes) {
  NamedTensors tensors = single_file_of(testing::tiny_sdxl()).tensors;
  for (const std::string key : {"model.diffusion_model.middle_block.1.proj_in.weight",
                                "first_stage_model.decoder.mid.attn_1.q.weight"}) {
    tensors.at(key) = torch::zeros({tensors.at(key).numel() / 2, 1}, torch::kByte);
    tensors[key + ".absmax"] = torch::ones({8});
    tensors[key + ".quant_map"] = torch::linspace(-1, 1, 16);
  }
  EXPECT_THAT(refusal_of(tensors), HasSubstr("quantised (nf4 of bitsandbytes)"));
  const SavedFile file(tensors);
  EXPECT_THAT(message_of<Error>([&] { open_vae(file.path); }), HasSubstr("nf4"));
}

TEST(Checkpoint, WholeNumbersThatAreNoWeightsAreAccepted) {
  NamedTensors tensors = single_file_of(testing::tiny_sdxl()).tensors;
  tensors["conditioner.embedders.0.transformer.text_model.embeddings.position_ids"] =
      torch::arange(77).view({1, 77});
  tensors["model_ema.num_updates"] = torch::ones({}, torch::kInt);
  tensors["v_pred"] = torch::zeros({0}, torch::kByte);
  EXPECT_EQ(refusal_of(tensors), "");
}

TEST(Checkpoint, QuantisedFilesOfOtherKindsAreNamedByTheirKind) {
  EXPECT_THAT(refusal_of({{"double_blocks.0.img_attn.qkv.weight", torch::ones({2}, torch::kByte)},
                          {"double_blocks.0.img_attn.qkv.weight.absmax", torch::ones({2})}}),
              HasSubstr("found Flux"));
  EXPECT_THAT(refusal_of({{"a.qweight", torch::ones({2}, torch::kInt)}}), HasSubstr("GPTQ"));
}

TEST(Checkpoint, RefusalsNameTheFileWhatItIsAndWhatToDo) {
  const std::string lora = refusal_of({{"lora_unet_x.lora_down.weight", torch::zeros({2, 2})}});
  EXPECT_THAT(lora, HasSubstr("model.safetensors"));
  EXPECT_THAT(lora, HasSubstr("found LoRA"));
  EXPECT_THAT(lora, HasSubstr("--lora"));
  EXPECT_EQ(lora.find('\n'), std::string::npos);
  const Checkpoint model = testing::tiny_sdxl();
  EXPECT_THAT(refusal_of(model.components.at(Component::kVae)), HasSubstr("--vae"));
  EXPECT_THAT(refusal_of(model.components.at(Component::kTextEncoder)), HasSubstr("text encoder"));
  EXPECT_THAT(refusal_of({{"a.b", torch::zeros({2})}}), HasSubstr("unknown content"));
  NamedTensors inpainting = model.components.at(Component::kUnet);
  inpainting["conv_in.weight"] = torch::zeros({32, 9, 3, 3});
  EXPECT_THAT(refusal_of(inpainting), HasSubstr("inpainting"));
}

TEST(Checkpoint, ATensorOfImpossibleShapeIsNamedWithTheFile) {
  NamedTensors tensors = single_file_of(testing::tiny_sdxl()).tensors;
  tensors["conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_bias"] =
      torch::zeros({7});
  const std::string message = refusal_of(tensors);
  EXPECT_THAT(message, HasSubstr("model.safetensors"));
  EXPECT_THAT(message, HasSubstr("in_proj_bias"));
}

TEST(Checkpoint, ASeparateVaeOpensInBothLayoutsAndOutOfAModel) {
  const Checkpoint model = testing::tiny_sdxl();
  const NamedTensors vae = model.components.at(Component::kVae);
  const NamedTensors single = single_file_of(model).tensors;
  NamedTensors ldm = {{"model_ema.decay", torch::ones({})}, {"loss.logvar", torch::zeros({})}};
  for (const auto& [name, tensor] : single)
    if (name.starts_with("first_stage_model.")) ldm[name.substr(18)] = tensor;
  NamedTensors old;
  for (const auto& [name, tensor] : vae) {
    std::string renamed = name;
    const auto replace = [&](const std::string& from, const std::string& to) {
      if (const size_t at = renamed.find("0." + from); at != std::string::npos)
        renamed.replace(at + 2, from.size(), to);
    };
    replace("to_q", "query"), replace("to_k", "key"), replace("to_v", "value"),
        replace("to_out.0", "proj_attn");
    old[renamed] = tensor;
  }
  EXPECT_NE(shapes_of(old), shapes_of(vae));
  for (const NamedTensors& tensors : {vae, ldm, old, single}) {
    const SavedFile file(tensors);
    EXPECT_TRUE(equal_tensors(open_vae(file.path), vae));
  }
}

TEST(Checkpoint, ADecoderAloneIsAVaeWithAndWithoutItsPrefix) {
  const Checkpoint whole = testing::tiny_sdxl();
  NamedTensors decoder, ldm;
  for (const auto& [name, tensor] : whole.components.at(Component::kVae))
    if (name.starts_with("decoder.") || name.starts_with("post_quant_conv."))
      decoder[name] = tensor;
  Checkpoint model;
  model.components[Component::kVae] = decoder;
  for (const auto& [name, tensor] : single_file_of(model).tensors) ldm[name.substr(18)] = tensor;
  const auto stripped = [](const NamedTensors& tensors) {
    NamedTensors out;
    for (const auto& [name, tensor] : tensors)
      out[name.starts_with("decoder.") ? name.substr(8) : name] = tensor;
    return out;
  };
  for (const NamedTensors& tensors : {decoder, stripped(decoder), ldm, stripped(ldm)}) {
    const SavedFile file(tensors);
    EXPECT_TRUE(equal_tensors(open_vae(file.path), decoder)) << tensors.begin()->first;
  }
}

/// Small tensors under the names of a tiny VAE's decoder and encoder, TAESD's numbers.
NamedTensors taesd_part(const std::string& prefix, int64_t first, int64_t last) {
  NamedTensors out;
  for (int64_t i = first; i <= last; ++i) {
    const std::string entry = prefix + std::to_string(i);
    const bool is_end = i == first || i == last;
    out[entry + (is_end ? ".weight" : ".conv.0.weight")] = torch::full({2}, static_cast<double>(i));
  }
  return out;
}

TEST(Checkpoint, ATinyVaeOpensUnderAllItsNames) {
  NamedTensors decoder = taesd_part("", 1, 19), both = taesd_part("taesd_decoder.", 1, 19);
  NamedTensors expected;
  for (const auto& [name, tensor] : taesd_part("decoder.layers.", 0, 18))
    expected[name] = tensor + 1;
  const SavedFile bare(decoder), prefixed(both), diffusers(expected);
  for (const SavedFile* file : {&bare, &prefixed, &diffusers})
    EXPECT_TRUE(equal_tensors(open_vae(file->path), expected)) << file;
  EXPECT_EQ(open_vae_hints(bare.path), ArchitectureHints());
  both.merge(taesd_part("taesd_encoder.", 0, 14));
  expected.merge(taesd_part("encoder.layers.", 0, 14));
  const SavedFile whole(both), whole_diffusers(expected);
  EXPECT_TRUE(equal_tensors(open_vae(whole.path), expected));
  EXPECT_TRUE(equal_tensors(open_vae(whole_diffusers.path), expected));
}

TEST(Checkpoint, ATinyEncoderAloneIsNoVae) {
  for (const std::string prefix : {"", "taesd_encoder."}) {
    NamedTensors encoder = taesd_part(prefix, 0, 14);
    encoder[prefix + "1.weight"] = torch::zeros({2});
    const SavedFile file(encoder);
    EXPECT_THAT(message_of<Error>([&] { open_vae(file.path); }), HasSubstr("tiny VAE")) << prefix;
  }
}

TEST(Checkpoint, WhatIsNoVaeIsNamed) {
  const SavedFile file({{"lora_unet_x.lora_down.weight", torch::zeros({2, 2})}});
  EXPECT_THAT(message_of<Error>([&] { open_vae(file.path); }), HasSubstr("found LoRA"));
  const SavedFile unet(testing::tiny_sdxl().components.at(Component::kUnet));
  EXPECT_THAT(message_of<Error>([&] { open_vae(unet.path); }), HasSubstr("found SDXL"));
}

TEST(Checkpoint, AMissingPathIsAnError) {
  EXPECT_THAT(message_of<Error>([] { open_checkpoint("/nonexistent/model.safetensors"); }),
              HasSubstr("/nonexistent/model.safetensors"));
}

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<std::string> missing_without(Component component, NamedShapes shapes,
                                         const std::string& prefix) {
  std::erase_if(shapes, [&](const auto& item) { return item.first.starts_with(prefix); });
  return missing_weights(component, shapes);
}

/// The networks of a published model under diffusers names, from the key tables.
std::map<Component, NamedShapes> published_shapes(const std::string& file) {
  std::map<Component, NamedTensors> tensors;
  const auto table = testing::load_golden("keys/" + file);
  if (!table) return {};
  for (const testing::TableRow& row : testing::table_rows(*table))
    apply_row(row.row, testing::meta_tensors({{"x", row.shape}}).at("x"), tensors);
  std::map<Component, NamedShapes> shapes;
  for (const auto& [component, weights] : tensors) shapes[component] = shapes_of(weights);
  return shapes;
}

TEST(GoldenMissingWeights, PublishedModelsLackNothing) {
  size_t checked = 0;
  for (const char* file : {"sdxl.json", "sd15.json"}) {
    for (const auto& [component, shapes] : published_shapes(file)) {
      EXPECT_THAT(missing_weights(component, shapes), IsEmpty()) << file;
      ++checked;
    }
  }
  if (checked == 0) GTEST_SKIP() << "no key tables";
}

// Each weight in turn: what its neighbours show must be enough to miss it.
TEST(GoldenMissingWeights, AnySingleWeightOfSdxlIsMissed) {
  const auto model = published_shapes("sdxl.json");
  if (model.empty()) GTEST_SKIP() << "no sdxl.json";
  for (const auto& [component, shapes] : model) {
    NamedShapes damaged = shapes;
    for (const auto& [name, shape] : shapes) {
      damaged.erase(name);
      EXPECT_THAT(missing_weights(component, damaged), ElementsAre(name));
      damaged[name] = shape;
    }
  }
}

TEST(MissingWeights, SmallModelsLackNothing) {
  for (const Checkpoint& model : {testing::tiny_sdxl(), testing::tiny_sd15(),
                                  testing::tiny_sdxl({.depth = {0, 1}, .mid_depth = 0}),
                                  testing::tiny_sdxl({.depth = {1, 2}, .resnets = 1})}) {
    for (const auto& [component, tensors] : model.components)
      EXPECT_THAT(missing_weights(component, shapes_of(tensors)), IsEmpty());
  }
}

TEST(MissingWeights, WholeBlocksOfAUNetAreMissed) {
  const NamedShapes unet = testing::tiny_unet_shapes({});
  for (const char* block :
       {"down_blocks.0.", "down_blocks.1.", "mid_block.", "mid_block.attentions.", "up_blocks.0.",
        "up_blocks.1.", "up_blocks.0.resnets.2.", "up_blocks.0.attentions.",
        "down_blocks.1.attentions.0.transformer_blocks.0.", "time_embedding.", "conv_out.",
        "add_embedding.linear_2."}) {
    const auto missing = missing_without(Component::kUnet, unet, block);
    ASSERT_FALSE(missing.empty()) << block;
    EXPECT_TRUE(missing.front().starts_with(block)) << missing.front();
  }
}

TEST(MissingWeights, ADecoderAloneIsWholeWithAndWithoutItsConvolution) {
  const NamedShapes vae = testing::tiny_vae_shapes({16, 32}, 1);
  NamedShapes decoder;
  for (const auto& [name, shape] : vae)
    if (name.starts_with("decoder.")) decoder[name] = shape;
  EXPECT_THAT(missing_weights(Component::kVae, decoder), IsEmpty());
  EXPECT_TRUE(is_decoder_only(decoder));
  EXPECT_FALSE(is_decoder_only(vae));
  decoder["post_quant_conv.weight"] = {4, 4, 1, 1};
  EXPECT_THAT(missing_weights(Component::kVae, decoder), IsEmpty());
  EXPECT_THAT(missing_without(Component::kVae, vae, "quant_conv."), SizeIs(2));
  EXPECT_THAT(missing_without(Component::kVae, vae, "post_quant_conv."), SizeIs(2));
  EXPECT_THAT(missing_without(Component::kVae, decoder, "decoder.up_blocks.0.resnets.1.norm1.bias"),
              ElementsAre("decoder.up_blocks.0.resnets.1.norm1.bias"));
}

TEST(MissingWeights, HalfATextEncoderOfAPublishedWidthIsMissed) {
  const NamedShapes whole = testing::tiny_text_shapes(12, 768, false);
  EXPECT_THAT(missing_weights(Component::kTextEncoder, whole), IsEmpty());
  EXPECT_THAT(missing_without(Component::kTextEncoder, whole, "text_model.encoder.layers.1"),
              SizeIs(3 * 16));  // 1, 10 and 11
  EXPECT_THAT(
      missing_without(Component::kTextEncoder, whole, "text_model.final_layer_norm."),
      ElementsAre("text_model.final_layer_norm.weight", "text_model.final_layer_norm.bias"));
  EXPECT_THAT(missing_weights(Component::kTextEncoder2, testing::tiny_text_shapes(2, 32, false)),
              ElementsAre("text_projection.weight"));
}

TEST(MissingWeights, HostileNumbersMakeNoEndlessList) {
  const NamedShapes shapes = {{"down_blocks.99999999999.resnets.0.conv1.weight", {1}},
                              {"down_blocks.900000000.resnets.0.conv1.weight", {1}}};
  EXPECT_LT(missing_weights(Component::kUnet, shapes).size(), 100000U);
}

}  // namespace

}  // namespace fourstep
