#include "request/image_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/image.h"
#include "request/request.h"
#include "support/golden.h"
#include "text/prompt_scan.h"

namespace fourstep {
namespace {

Request resolved_request() {
  Request request;
  request.files.model = "models/sd_xl_base_1.0.safetensors";
  request.files.loras = {{"loras/dmd2_sdxl_4step_lora_fp16.safetensors", 0.7, 0.7}};
  request.prompt.text = "a red fox in the snow";
  request.picture.width = request.picture.height = 1024;
  request.sampling.steps = 4;
  request.sampling.cfg_scale = 1;
  request.sampling.sampler = "lcm";
  request.sampling.schedule = "dmd2";
  request.picture.seed = 7;
  request.noise.origin = NoiseChoice::kTorch;
  return request;
}

TEST(ImageMetadata, TheA1111LineHasWhatOtherProgramsRead) {
  const ImageText text = image_metadata(resolved_request(), Family::kSdxl);
  EXPECT_EQ(
      text.at("parameters"),
      "a red fox in the snow <lora:dmd2_sdxl_4step_lora_fp16:0.7>\n"
      "Steps: 4, Sampler: LCM, Schedule type: Simple, CFG scale: 1, Seed: 7, Size: 1024x1024, "
      "Model: sd_xl_base_1.0, RNG: CPU, Version: fourstep");
}

// The numbers and places of A1111's own lines, see tests/golden/infotext.
TEST(ImageMetadata, HashesStandWhereA1111WritesThem) {
  const FileTags files{"31e35c80fc", "", "dmd2_sdxl_4step_lora_fp16: 6f52f8a2d1c3",
                       "negativeXL_D: fff5d51ab655"};
  const std::string line =
      image_metadata(resolved_request(), Family::kSdxl, files).at("parameters");
  EXPECT_NE(line.find("Size: 1024x1024, Model hash: 31e35c80fc, Model: sd_xl_base_1.0,"),
            std::string::npos)
      << line;
  EXPECT_NE(line.find("Lora hashes: \"dmd2_sdxl_4step_lora_fp16: 6f52f8a2d1c3\", "
                      "TI hashes: \"negativeXL_D: fff5d51ab655\", Version"),
            std::string::npos)
      << line;
  EXPECT_EQ(line.find("VAE hash"), std::string::npos);
}

TEST(ImageMetadata, NothingTellsOfTheMachineThatTheFilesLieOn) {
  Request request = resolved_request();
  request.files.model = "/home/ann/models/base.safetensors";
  request.files.unet = "/home/ann/unet.safetensors";
  request.files.vae = "C:\\Users\\ann\\vae.safetensors";
  request.files.loras = {{"/home/ann/loras/ink.safetensors", 0.7, 0.7}};
  request.files.lora_dir = {"/home/ann/loras/"};
  request.prompt.embedding_dir = {"/home/ann/embeddings"};
  request.prompt.wildcards = "/home/ann/cards";
  const FileTags files{"31e35c80fc",        "aabbccddee", "ink: 6f52f8a2d1c3",
                       "neg: fff5d51ab655", "",           "1122334455"};
  const ImageText text = image_metadata(request, Family::kSdxl, files);
  for (const auto& [name, value] : text) {
    EXPECT_EQ(value.find("ann"), std::string::npos) << name << ": " << value;
    for (const char* known :
         {"31e35c80fc", "1122334455", "aabbccddee", "6f52f8a2d1c3", "fff5d51ab655"}) {
      EXPECT_NE(value.find(known), std::string::npos) << name << ": " << value;
    }
  }
  EXPECT_NE(text.at("parameters").find("UNet hash: 1122334455, UNet: unet,"), std::string::npos)
      << text.at("parameters");
  const Request back = request_from_json(nlohmann::ordered_json::parse(text.at("fourstep")));
  EXPECT_EQ(back.files.model, "base.safetensors");
  EXPECT_EQ(back.files.loras[0].file, "ink.safetensors") << "found again by --lora-dir";
  EXPECT_EQ(back.files.lora_dir, (std::vector<std::string>{"loras"}));
}

TEST(ImageMetadata, TheWholeRequestIsThereForThisImageAlone) {
  const ImageText text = image_metadata(resolved_request(), Family::kSdxl);
  const Request back = request_from_json(nlohmann::ordered_json::parse(text.at("fourstep")));
  EXPECT_EQ(back.picture.seed, 7u);
  EXPECT_EQ(back.picture.images, 1);
  EXPECT_EQ(back.files.loras,
            (std::vector<LoraUse>{{"dmd2_sdxl_4step_lora_fp16.safetensors", 0.7, 0.7}}));
  EXPECT_EQ(back.sampling.schedule, "dmd2");
}

TEST(ImageMetadata, ClipSkipCountsFromTheFamilysOwnLayer) {
  Request request = resolved_request();
  request.networks.clip_skip = 1;
  EXPECT_NE(image_metadata(request, Family::kSdxl).at("parameters").find("Clip skip: 3"),
            std::string::npos);
  EXPECT_NE(image_metadata(request, Family::kSd15).at("parameters").find("Clip skip: 2"),
            std::string::npos);
}

TEST(ImageMetadata, TagsInThePromptStandThereOnce) {
  Request request = resolved_request();
  request.prompt.text = "a fox <lora:ink:0.5>";
  const std::string line = image_metadata(request, Family::kSdxl).at("parameters");
  EXPECT_TRUE(line.starts_with("a fox <lora:ink:0.5> <lora:dmd2_sdxl_4step_lora_fp16:0.7>\n"))
      << line;
}

TEST(ImageMetadata, WeightsByStepStandInATagThatReadsBack) {
  Request request = resolved_request();
  request.prompt.text = "a fox";
  request.files.loras = {{"loras/ink.safetensors", step_weights_from_text("", "0@0,1@0.5"), 0}};
  const std::string line = image_metadata(request, Family::kSdxl).at("parameters");
  ASSERT_TRUE(line.starts_with("a fox <lora:ink:0:0@0,1@0.5>\n")) << line;
  const auto lora = lora_tag(parse_network_tags(line).tags.at(0));
  EXPECT_EQ(lora->unet_weight, request.files.loras[0].unet_weight);
  EXPECT_EQ(lora->text_weight, 0);
}

TEST(ImageMetadata, TheMathematicsOfWeightsAreNamedWhereThereAreAny) {
  Request request = resolved_request();
  const auto line = [&] { return image_metadata(request, Family::kSdxl).at("parameters"); };
  EXPECT_EQ(line().find("Emphasis"), std::string::npos);
  request.prompt.text = "a (red:1.2) fox";
  EXPECT_NE(line().find("Emphasis: No norm"), std::string::npos);
  request.sampling.dialect = Dialect::kA1111;
  EXPECT_EQ(line().find("Emphasis"), std::string::npos) << "A1111's own needs no word";
}

TEST(ImageMetadata, APromptOfAnyBytesIsWritten) {
  Request request = resolved_request();
  request.prompt.text = "caf\xE9 a" + std::string(1, '\0');
  const std::string line = image_metadata(request, Family::kSdxl).at("parameters");
  EXPECT_TRUE(line.starts_with("caf\xEF\xBF\xBD a\xEF\xBF\xBD <lora")) << line;
}

TEST(ImageMetadata, OneStepOfDmd2IsNotCalledSimple) {
  EXPECT_EQ(a1111_schedule_name("dmd2", 1), "dmd2");
  EXPECT_EQ(a1111_schedule_name("dmd2", 4), "Simple");
  EXPECT_EQ(a1111_sampler_name("euler_ancestral"), "Euler a");
}

TEST(ImageMetadata, ASecondPassStandsInA1111sWords) {
  Request request = resolved_request();
  request.hires = {.scale = 1.5, .steps = 6, .denoise = 0.6, .upscale = LatentUpscale::kBilinear};
  const ImageText text = image_metadata(request, Family::kSdxl);
  for (const char* field : {"Denoising strength: 0.6", "Hires upscale: 1.5", "Hires steps: 6",
                            "Hires upscaler: Latent"}) {
    EXPECT_NE(text.at("parameters").find(field), std::string::npos) << field;
  }
  const Request back = request_from_json(nlohmann::ordered_json::parse(text.at("fourstep")));
  EXPECT_EQ(back.hires, request.hires);
}

TEST(ImageMetadata, SettingsAreReadBackFromTheFile) {
  const testing::TemporaryFolder folder;
  const auto file = folder.path() / "a.png";
  const Image image{torch::zeros({2, 3, 3}, torch::kUInt8), {}, {}};
  const auto write = [&](const ImageText& text) {
    Image with_text = image;
    with_text.text = text;
    write_image(file, with_text);
  };
  Request request = resolved_request();
  request.files.loras.clear();
  write(image_metadata(request, Family::kSdxl));
  Request shared = request;
  shared.files.model = "sd_xl_base_1.0.safetensors";
  EXPECT_EQ(read_settings(file).request, shared);
  EXPECT_EQ(read_settings(file).infotext->prompt, "a red fox in the snow");
  write({{"parameters", "a cat\nSteps: 4, Sampler: LCM, Seed: 7"}});
  EXPECT_FALSE(read_settings(file).request);
  EXPECT_EQ(*read_settings(file).infotext->find("Sampler"), "LCM");
  write({});
  EXPECT_THROW(read_settings(file), Error);
  write({{"fourstep", "{"}});
  EXPECT_THROW(read_settings(file), Error) << "no JSON";
  write({{"fourstep", R"({"stepps": 4})"}});
  EXPECT_THROW(read_settings(file), InvalidRequest);
}

TEST(ImageMetadata, GuidanceOptionsAreFlatFieldsOfTheRequestInJsonAndText) {
  Request request;
  request.guidance.nag.scale = 3;
  request.guidance.freeu.factors = {1.3, 1.4, 0.9, 0.2};
  request.guidance.apg.on = true;
  const auto json = json_from_request(request);
  EXPECT_EQ(json["nag_scale"], 3);
  EXPECT_TRUE(json["cfg_steps"].is_array());
  EXPECT_EQ(request_from_json(json), request);
  const std::string line = image_metadata(request, Family::kSdxl).at("parameters");
  EXPECT_THAT(line, ::testing::HasSubstr("Nag scale: 3"));
  EXPECT_THAT(line, ::testing::HasSubstr("Apg: true"));
  EXPECT_THAT(line, ::testing::HasSubstr("Freeu: \"1.3,1.4,0.9,0.2\""));
  EXPECT_THAT(line, ::testing::Not(::testing::HasSubstr("Nag tau")));
}

}  // namespace
}  // namespace fourstep
