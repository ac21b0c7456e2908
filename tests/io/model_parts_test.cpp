#include "io/model_parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "io/safetensors.h"
#include "io/single_file.h"
#include "support/files.h"
#include "support/golden.h"
#include "tiny_model.h"

namespace fourstep {
namespace {

using testing::equal_tensors;
using ::testing::HasSubstr;
using testing::message_of;

NamedTensors renamed_prefix(const NamedTensors& tensors, const std::string& from,
                            const std::string& to) {
  NamedTensors out;
  for (const auto& [name, tensor] : tensors)
    if (name.starts_with(from)) out[to + name.substr(from.size())] = tensor;
  return out;
}

class ModelPartsTest : public ::testing::Test {
 protected:
  /// Writes a safetensors file and returns its path.
  std::string write(const std::string& name, const NamedTensors& tensors,
                    const Metadata& metadata = {}) const {
    const auto path = folder.path() / (name + ".safetensors");
    write_safetensors(path, tensors, metadata);
    return path.string();
  }
  const NamedTensors& part(Component component) const { return model.components.at(component); }
  /// The second encoder with open_clip's names, as single files have it.
  NamedTensors open_clip(const std::string& prefix) const {
    return renamed_prefix(single_file_of(model).tensors, "conditioner.embedders.1.model.", prefix);
  }
  std::string unet_file() const { return write("unet", part(Component::kUnet)); }
  std::string vae_file() const { return write("vae", part(Component::kVae)); }
  std::string first_file() const { return write("clip_l", part(Component::kTextEncoder)); }
  std::string second_file() const { return write("clip_g", part(Component::kTextEncoder2)); }
  static std::string message(const ModelPaths& paths) {
    return message_of<Error>([&] { check_whole(open_model_parts(paths)); });
  }

  testing::TemporaryFolder folder;
  Checkpoint model = testing::tiny_sdxl();
};

TEST_F(ModelPartsTest, AUNetAloneBecomesAWholeModel) {
  const ModelPaths paths{unet_file(), "", vae_file(), first_file(), second_file()};
  const ModelParts parts = open_model_parts(paths);
  EXPECT_NO_THROW(check_whole(parts));
  for (const Component component : all_components())
    EXPECT_TRUE(equal_tensors(parts.checkpoint.components.at(component), part(component)));
  EXPECT_EQ(parts.path_of(Component::kVae), paths.vae);
  EXPECT_EQ(parts.path_of(Component::kUnet), paths.model);
}

TEST_F(ModelPartsTest, WhatAUNetAloneStillNeedsIsSaid) {
  EXPECT_THAT(message({unet_file()}), HasSubstr("--vae, --text-encoder, --text-encoder-2"));
  EXPECT_THAT(message({unet_file(), "", vae_file()}),
              HasSubstr("has no text_encoder and no text_encoder_2; name them with --text-encoder "
                        "and --text-encoder-2"));
}

TEST_F(ModelPartsTest, TextEncodersOpenInEveryLayout) {
  const NamedTensors& first = part(Component::kTextEncoder);
  for (const std::string prefix :
       {"", "transformer.", "conditioner.embedders.0.transformer.", "cond_stage_model.transformer.",
        "text_encoders.clip_l.transformer.", "clip_l.", "text_encoder."}) {
    NamedTensors tensors = renamed_prefix(first, "", prefix);
    tensors[prefix + "logit_scale"] = torch::ones({});
    tensors[prefix + "text_projection.weight"] = torch::ones({16, 16});  // saved, never used
    tensors[prefix + "text_model.embeddings.position_ids"] = torch::arange(77).unsqueeze(0);
    tensors[prefix + "vision_model.post_layernorm.weight"] = torch::ones({16});
    EXPECT_TRUE(equal_tensors(
        open_text_encoder(write("x", tensors), Component::kTextEncoder).weights, first))
        << prefix;
  }
  const NamedTensors bare = renamed_prefix(first, "text_model.", "");
  EXPECT_TRUE(
      equal_tensors(open_text_encoder(write("x", bare), Component::kTextEncoder).weights, first));
}

TEST_F(ModelPartsTest, OpenClipNamesAreTurnedIntoThoseOfTransformers) {
  for (const std::string prefix : {"", "model.", "conditioner.embedders.1.model."}) {
    EXPECT_TRUE(equal_tensors(
        open_text_encoder(write("x", open_clip(prefix)), Component::kTextEncoder2).weights,
        part(Component::kTextEncoder2)))
        << prefix;
  }
}

TEST_F(ModelPartsTest, OneFileMayHoldBothEncoders) {
  NamedTensors both =
      renamed_prefix(part(Component::kTextEncoder), "", "text_encoders.clip_l.transformer.");
  both.merge(
      renamed_prefix(part(Component::kTextEncoder2), "", "text_encoders.clip_g.transformer."));
  const TensorFile whole = single_file_of(model);
  for (const std::string& path : {write("both", both), write("whole", whole.tensors)}) {
    const ModelParts parts = open_model_parts({unet_file(), "", vae_file(), path, path});
    for (const Component component : {Component::kTextEncoder, Component::kTextEncoder2})
      EXPECT_TRUE(equal_tensors(parts.checkpoint.components.at(component), part(component)));
  }
}

TEST_F(ModelPartsTest, AFolderBringsItsSettingsAndTokenizer) {
  const auto pipeline = folder.path() / "sdxl";
  std::filesystem::create_directories(pipeline / "text_encoder");
  std::filesystem::create_directories(pipeline / "tokenizer");
  write("sdxl/text_encoder/model", part(Component::kTextEncoder));
  testing::write_file(pipeline / "text_encoder/config.json",
                      R"({"num_attention_heads":4,"hidden_act":"gelu"})");
  testing::write_file(pipeline / "tokenizer/merges.txt", "#version");
  for (const auto& path : {pipeline, pipeline / "text_encoder"}) {
    const TextEncoderFile file = open_text_encoder(path, Component::kTextEncoder);
    EXPECT_TRUE(equal_tensors(file.weights, part(Component::kTextEncoder)));
    EXPECT_EQ(file.hints.text_heads, 4);
    EXPECT_EQ(file.hints.text_activation, "gelu");
    EXPECT_TRUE(file.tokenizer_folder.has_value());
  }
}

TEST_F(ModelPartsTest, WrongEncodersAreNamed) {
  const std::string whole = write("whole", single_file_of(model).tensors);
  // The tiny UNet's context is 48 wide: 16 and 32.
  const std::string wrong = message({whole, "", "", "", first_file()});
  EXPECT_THAT(wrong, HasSubstr("clip_l.safetensors: this is text encoder of width 16"));
  EXPECT_THAT(wrong, HasSubstr("needs text encoder of width 32 as text_encoder_2"));
  EXPECT_THAT(message({whole, "", "", second_file(), ""}),
              HasSubstr("needs text encoder of width 16 as text_encoder; name that with "
                        "--text-encoder"));
  EXPECT_THAT(message({whole, "", "", second_file(), first_file()}),
              HasSubstr("swap --text-encoder and --text-encoder-2"));
}

TEST_F(ModelPartsTest, PublishedEncodersAreCalledByName) {
  model = testing::tiny_sdxl({.cross_width = 2048});
  model.components[Component::kTextEncoder] =
      testing::random_tensors(testing::tiny_text_shapes(1, 768, false));
  const std::string whole = write("whole", single_file_of(model).tensors);
  const auto given_as_second = [&](int64_t width) {
    const auto encoder = testing::random_tensors(testing::tiny_text_shapes(1, width, true));
    return message({whole, "", "", "", write("x", encoder)});
  };
  EXPECT_THAT(given_as_second(768),
              HasSubstr("this is CLIP ViT-L/14 (width 768), and the UNet of"));
  EXPECT_THAT(given_as_second(1024), HasSubstr("this is OpenCLIP ViT-H/14 (width 1024)"));
  EXPECT_THAT(given_as_second(1024), HasSubstr("needs OpenCLIP ViT-bigG/14 (width 1280)"));
}

TEST_F(ModelPartsTest, WhatIsNoClipEncoderIsNamed) {
  const auto refusal_of = [&](const NamedTensors& tensors) {
    const std::string path = write("x", tensors);
    return message_of<Error>([&] { open_text_encoder(path, Component::kTextEncoder2); });
  };
  const Tensor x = torch::ones({2, 2});
  EXPECT_THAT(refusal_of({{"encoder.block.0.layer.0.SelfAttention.q.weight", x}}),
              HasSubstr("found T5 text encoder, not a CLIP text encoder"));
  EXPECT_THAT(refusal_of({{"model.layers.0.mlp.gate_proj.weight", x}}),
              HasSubstr("found language model"));
  EXPECT_THAT(refusal_of({{"vision_model.encoder.layers.0.self_attn.q_proj.weight", x}}),
              HasSubstr("found CLIP image encoder"));
  EXPECT_THAT(refusal_of(part(Component::kVae)), HasSubstr("found VAE"));
  EXPECT_THAT(refusal_of(part(Component::kUnet)), HasSubstr("found SDXL"));
  EXPECT_THAT(refusal_of({{"lora_te1_x.lora_down.weight", x}}), HasSubstr("found LoRA"));
}

TEST_F(ModelPartsTest, Sd15HasOneTextEncoder) {
  model = testing::tiny_sd15();
  const std::string unet = unet_file(), first = first_file(), vae = vae_file();
  EXPECT_EQ(message({unet, "", vae, first}), "");
  EXPECT_THAT(message({unet, "", vae, first, first}), HasSubstr("leave --text-encoder-2 out"));
  const auto wide = testing::random_tensors(testing::tiny_text_shapes(2, 32, false));
  EXPECT_THAT(message({unet, "", vae, write("wide", wide)}), HasSubstr("text encoder of width 16"));
}

TEST_F(ModelPartsTest, MissingWeightsAreNamedWithTheFlagThatBringsThem) {
  NamedTensors tensors = single_file_of(model).tensors;
  tensors.erase("conditioner.embedders.1.model.logit_scale");
  EXPECT_EQ(message({write("whole", tensors)}), "") << "logit_scale is not used";
  tensors.erase("conditioner.embedders.1.model.text_projection");
  const std::string path = write("whole", tensors), lacking = message({path});
  EXPECT_THAT(lacking, HasSubstr("text_encoder_2: 1 weight is missing (text_projection.weight); "
                                 "name a whole one with --text-encoder-2"));
  EXPECT_EQ(message({path, "", "", "", second_file()}), "");
  tensors = single_file_of(model).tensors;
  std::erase_if(tensors, [](const auto& item) {
    return item.first.find("output_blocks.2.") != std::string::npos;
  });
  EXPECT_THAT(message({write("whole", tensors)}), HasSubstr("an incomplete SDXL UNet"));
}

TEST_F(ModelPartsTest, ADecoderAloneTakesThePlaceOfTheVae) {
  NamedTensors decoder = part(Component::kVae);
  std::erase_if(decoder, [](const auto& item) { return item.first.starts_with("encoder."); });
  const std::string whole = write("whole", single_file_of(model).tensors);
  const ModelParts parts = open_model_parts({whole, "", write("decoder", decoder)});
  EXPECT_NO_THROW(check_whole(parts));
  EXPECT_FALSE(parts.checkpoint.components.at(Component::kVae).count("quant_conv.weight"));
  EXPECT_TRUE(parts.checkpoint.components.at(Component::kVae).count("post_quant_conv.weight"));
}

TEST_F(ModelPartsTest, AVaeOfOtherLatentsIsRefused) {
  NamedTensors vae = part(Component::kVae);
  vae["decoder.conv_in.weight"] = torch::ones({32, 16, 3, 3});
  const std::string whole = write("whole", single_file_of(model).tensors);
  EXPECT_THAT(message({whole, "", write("vae", vae)}),
              HasSubstr("16 latent channels, and the UNet has 4"));
}

}  // namespace
}  // namespace fourstep
