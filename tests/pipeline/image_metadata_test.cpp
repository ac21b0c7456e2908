#include "pipeline/image_metadata.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "io/hashes.h"
#include "io/infotext.h"
#include "io/safetensors.h"
#include "pipeline/request_json.h"
#include "text/network_tags.h"

namespace fourstep {
namespace {

Request resolved_request() {
  Request request;
  request.model = "models/sd_xl_base_1.0.safetensors";
  request.loras = {{"loras/dmd2_sdxl_4step_lora_fp16.safetensors", 0.7, 0.7}};
  request.prompt = "a red fox in the snow";
  request.width = request.height = 1024;
  request.steps = 4;
  request.cfg_scale = 1;
  request.sampler = "lcm";
  request.schedule = "dmd2";
  request.seed = 7;
  request.noise = "torch";
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

TEST(FileTags, FilesAreNamedByTheHashesOfTheirKind) {
  const std::filesystem::path folder = ::testing::TempDir();
  setenv("XDG_CACHE_HOME", folder.c_str(), 1);  // not the developer's own
  write_safetensors(folder / "base.safetensors", {{"a", torch::zeros({2})}});
  write_safetensors(folder / "style.safetensors", {{"b", torch::ones({3})}});
  Request request;
  request.model = (folder / "base.safetensors").string();
  request.loras = {{(folder / "style.safetensors").string()}};
  write_safetensors(folder / "a,b:c.safetensors", {{"clip_l", torch::ones({1, 3})}});
  const auto inversions = {folder / "a,b:c.safetensors", folder / "style.safetensors"};
  const FileTags tags = make_file_tags(request, {inversions, {}}, {});
  EXPECT_EQ(tags.model, compute_hashes(folder / "base.safetensors")->auto_v2);
  EXPECT_EQ(tags.loras, "style: " + *compute_hashes(folder / "style.safetensors")->auto_v3);
  EXPECT_EQ(tags.inversions,
            "abc: " + compute_hashes(folder / "a,b:c.safetensors")->sha256.substr(0, 12) +
                ", style: " + compute_hashes(folder / "style.safetensors")->sha256.substr(0, 12));
  EXPECT_EQ(tags.vae, "");
  request.model = folder.string();  // a diffusers folder has no hash
  EXPECT_EQ(make_file_tags(request, {}, {}).model, "");
}

TEST(FileTags, SeparatePartsAreNamedWithTheirHashes) {
  const std::filesystem::path folder = ::testing::TempDir();
  setenv("XDG_CACHE_HOME", folder.c_str(), 1);  // not the developer's own
  const auto write = [&](const char* name, float value) {
    write_safetensors(folder / name, {{"a", torch::full({2}, value)}});
    return (folder / name).string();
  };
  Request request = resolved_request();
  request.model = write("base.safetensors", 0);
  request.loras.clear();
  request.unet = write("unet.safetensors", 1);
  request.text_encoder = write("clip_l.safetensors", 2);
  request.text_encoder_2 = write("clip_g-00001-of-00002.safetensors", 3);
  const auto hash = [](const std::string& file) { return compute_hashes(file)->auto_v2; };
  const std::string line =
      image_metadata(request, Family::kSdxl, make_file_tags(request, {}, {})).at("parameters");
  EXPECT_NE(line.find("UNet hash: " + hash(request.unet) +
                      ", UNet: unet, Text encoder hash: " + hash(request.text_encoder) +
                      ", Text encoder: clip_l, Text encoder 2: clip_g"),
            std::string::npos)
      << line << ": a shard has no hash that says something";
}

TEST(FileTags, LicencesAreOneLineEach) {
  const std::string whole_text = "Licence\r\nPermission is hereby granted";
  const UsedFiles used{{},
                       {{"models/base.safetensors", ""},
                        {"dmd2.safetensors", "CC BY-NC 4.0, MIT"},
                        {"style.safetensors", whole_text},
                        {"long.safetensors", std::string(200, 'x')}}};
  const FileTags tags = make_file_tags({}, used, {});
  EXPECT_EQ(tags.licenses,
            "dmd2: CC BY-NC 4.0; MIT, style: Licence, long: " + std::string(100, 'x') + "...");
  const std::string line = image_metadata(resolved_request(), Family::kSdxl, tags).at("parameters");
  const Infotext read = parse_infotext(line);
  const auto found = std::find_if(read.fields.begin(), read.fields.end(),
                                  [](const auto& field) { return field.first == "Licenses"; });
  ASSERT_NE(found, read.fields.end()) << line;
  EXPECT_EQ(found->second, tags.licenses);
}

TEST(ImageMetadata, NothingTellsOfTheMachineThatTheFilesLieOn) {
  Request request = resolved_request();
  request.model = "/home/ann/models/base.safetensors";
  request.unet = "/home/ann/unet.safetensors";
  request.vae = "C:\\Users\\ann\\vae.safetensors";
  request.loras = {{"/home/ann/loras/ink.safetensors", 0.7, 0.7}};
  request.lora_dir = {"/home/ann/loras/"};
  request.embedding_dir = {"/home/ann/embeddings"};
  request.wildcards = "/home/ann/cards";
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
  EXPECT_EQ(back.model, "base.safetensors");
  EXPECT_EQ(back.loras[0].file, "ink.safetensors") << "found again by --lora-dir";
  EXPECT_EQ(back.lora_dir, (std::vector<std::string>{"loras"}));
}

TEST(ImageMetadata, TheWholeRequestIsThereForThisImageAlone) {
  const ImageText text = image_metadata(resolved_request(), Family::kSdxl);
  const Request back = request_from_json(nlohmann::ordered_json::parse(text.at("fourstep")));
  EXPECT_EQ(back.seed, 7u);
  EXPECT_EQ(back.images, 1);
  EXPECT_EQ(back.loras,
            (std::vector<LoraUse>{{"dmd2_sdxl_4step_lora_fp16.safetensors", 0.7, 0.7}}));
  EXPECT_EQ(back.schedule, "dmd2");
}

TEST(ImageMetadata, ClipSkipCountsFromTheFamilysOwnLayer) {
  Request request = resolved_request();
  request.clip_skip = 1;
  EXPECT_NE(image_metadata(request, Family::kSdxl).at("parameters").find("Clip skip: 3"),
            std::string::npos);
  EXPECT_NE(image_metadata(request, Family::kSd15).at("parameters").find("Clip skip: 2"),
            std::string::npos);
}

TEST(ImageMetadata, TagsInThePromptStandThereOnce) {
  Request request = resolved_request();
  request.prompt = "a fox <lora:ink:0.5>";
  const std::string line = image_metadata(request, Family::kSdxl).at("parameters");
  EXPECT_TRUE(line.starts_with("a fox <lora:ink:0.5> <lora:dmd2_sdxl_4step_lora_fp16:0.7>\n"))
      << line;
}

TEST(ImageMetadata, WeightsByStepStandInATagThatReadsBack) {
  Request request = resolved_request();
  request.prompt = "a fox";
  request.loras = {{"loras/ink.safetensors", step_weights_from_text("", "0@0,1@0.5"), 0}};
  const std::string line = image_metadata(request, Family::kSdxl).at("parameters");
  ASSERT_TRUE(line.starts_with("a fox <lora:ink:0:0@0,1@0.5>\n")) << line;
  const auto lora = lora_tag(parse_network_tags(line).tags.at(0));
  EXPECT_EQ(lora->unet_weight, request.loras[0].unet_weight);
  EXPECT_EQ(lora->text_weight, 0);
}

TEST(ImageMetadata, TheMathematicsOfWeightsAreNamedWhereThereAreAny) {
  Request request = resolved_request();
  const auto line = [&] { return image_metadata(request, Family::kSdxl).at("parameters"); };
  EXPECT_EQ(line().find("Emphasis"), std::string::npos);
  request.prompt = "a (red:1.2) fox";
  EXPECT_NE(line().find("Emphasis: No norm"), std::string::npos);
  request.dialect = "a1111";
  EXPECT_EQ(line().find("Emphasis"), std::string::npos) << "A1111's own needs no word";
}

TEST(ImageMetadata, APromptOfAnyBytesIsWritten) {
  Request request = resolved_request();
  request.prompt = "caf\xE9 a" + std::string(1, '\0');
  const std::string line = image_metadata(request, Family::kSdxl).at("parameters");
  EXPECT_TRUE(line.starts_with("caf\xEF\xBF\xBD a\xEF\xBF\xBD <lora")) << line;
}

TEST(ImageMetadata, OneStepOfDmd2IsNotCalledSimple) {
  EXPECT_EQ(a1111_schedule_name("dmd2", 1), "dmd2");
  EXPECT_EQ(a1111_schedule_name("dmd2", 4), "Simple");
  EXPECT_EQ(a1111_sampler_name("euler_ancestral"), "Euler a");
}

}  // namespace
}  // namespace fourstep
