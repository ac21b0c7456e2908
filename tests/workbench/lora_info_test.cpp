#include "workbench/lora_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "loras.h"
#include "workbench/lora_styles.h"

namespace fourstep {

namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class LoraInfoTest : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::map<std::string, LoraModule>& modules,
                              const Metadata& metadata = {}) {
    const auto path = folder_.path() / "x.safetensors";
    write_safetensors(path, kohya_tensors(by_id(modules), sdxl(), torch::kHalf), metadata);
    return path;
  }

  LoraInfo describe(const std::filesystem::path& path, bool with_norms = false) {
    return describe_lora(path, published_layouts(), with_norms);
  }

  testing::TemporaryFolder folder_;
};

TEST_F(LoraInfoTest, FactsAreCounted) {
  torch::manual_seed(41);
  const LoraInfo info = describe(write({{kQuery, random_module(kQuery, 4, 2)},
                                        {kOut, random_module(kOut, 8, 4)},
                                        {kConvolution, random_module(kConvolution, 4, 4)},
                                        {kText, random_module(kText, 4, 2)}}));
  EXPECT_THAT(info.family, ::testing::StartsWith("S"));
  EXPECT_EQ(info.style, "kohya (diffusers names)");
  EXPECT_EQ(info.num_matched, 4u);
  EXPECT_EQ(info.num_modules, 4u);
  EXPECT_EQ(info.ranks, (std::map<int64_t, size_t>{{4, 3}, {8, 1}}));
  EXPECT_EQ(info.alphas, (std::map<double, size_t>{{2, 2}, {4, 2}}));
  EXPECT_EQ(info.factors, (std::map<double, size_t>{{0.5, 3}, {1, 1}}));
  EXPECT_EQ(info.dtypes, (std::map<std::string, size_t>{{"F16", 12}}));
  EXPECT_EQ(info.components,
            (std::map<Component, size_t>{{Component::kUnet, 3}, {Component::kTextEncoder, 1}}));
  EXPECT_EQ(info.kinds, (std::map<std::string, size_t>{{"LoCon (convolution)", 1}, {"LoRA", 3}}));
  EXPECT_FALSE(info.has_norms);
  EXPECT_EQ(info.blocks.size(), 4u);
}

TEST_F(LoraInfoTest, NormsAreThoseOfTheDifferences) {
  torch::manual_seed(42);
  std::map<std::string, LoraModule> modules = {{kQuery, random_module(kQuery, 4, 2, torch::kHalf)}};
  const LoraInfo info = describe(write(modules), true);
  const double expected = norm_of(full_delta(by_id(modules), kQuery));
  EXPECT_NEAR(std::sqrt(info.blocks.at(0).norm_squared), expected, 1e-10 * expected);
}

TEST_F(LoraInfoTest, NanIsRefusedWhereValuesAreRead) {
  LoraModule broken = random_module(kQuery, 4, 2);
  std::get<LowRank>(broken.weight).up[0][0] = std::nan("");
  const auto path = folder_.path() / "nan.safetensors";
  const auto& low = std::get<LowRank>(broken.weight);
  write_safetensors(path, {{"lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q."
                            "lora_up.weight",
                            low.up},
                           {"lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q."
                            "lora_down.weight",
                            low.down}});
  EXPECT_NO_THROW(describe(path));
  EXPECT_THAT(testing::message_of<Error>([&] { describe(path, true); }), HasSubstr("NaN"));
}

TEST_F(LoraInfoTest, HostileMetadataIsShownEscaped) {
  const LoraInfo info =
      describe(write({{kQuery, random_module(kQuery, 4, 2)}},
                     {{"modelspec.title", "a\x1b[2Jb"}, {"modelspec.license", "CC BY-NC 4.0"}}));
  const std::string text = lora_info_text(info);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_THAT(text, HasSubstr("CC BY-NC 4.0"));
  EXPECT_THAT(text, HasSubstr("no text-encoder part"));
  EXPECT_EQ(nlohmann::json::parse(lora_info_json(info))["licence"], "CC BY-NC 4.0");
}

TEST_F(LoraInfoTest, ABarPerBlockIsDrawn) {
  const LoraInfo info = describe(write({{kQuery, random_module(kQuery, 4, 2)},
                                        {kConvolution, random_module(kConvolution, 4, 2)}}),
                                 true);
  const std::string svg = lora_blocks_svg({info});
  EXPECT_THAT(svg, ::testing::AllOf(HasSubstr("<svg"), HasSubstr("IN04"), HasSubstr("IN01")));
}

TEST_F(LoraInfoTest, HashesCoverFileAndContent) {
  LoraInfo info = describe(write({{kQuery, random_module(kQuery, 4, 2)}}));
  add_hashes(info, published_layouts());
  ASSERT_TRUE(info.hashes && info.content);
  EXPECT_EQ(info.content->size(), 64u);
  EXPECT_THAT(lora_info_text(info), HasSubstr(info.hashes->auto_v2));
  EXPECT_THAT(lora_info_text(info), HasSubstr(info.hashes->auto_v1 + " (addnet's legacy hash)"));
}

TEST_F(LoraInfoTest, OtherFilesAreNamed) {
  const auto path = folder_.path() / "vae.safetensors";
  write_safetensors(path, {{"first_stage_model.decoder.conv_in.weight", torch::ones({2})}});
  EXPECT_THAT(testing::message_of<Error>([&] { describe(path); }), HasSubstr("VAE"));
}

TEST_F(LoraInfoTest, KindsEmbeddingsAndEmptyModulesAreNamed) {
  NamedTensors tensors = kohya_tensors(
      by_id({{kQuery, weight_dependent_modules().at("BOFT")}, {kOut, random_module(kOut, 4, 2)}}),
      sdxl(), torch::kHalf);
  tensors["bundle_emb.my cat.clip_l"] = torch::randn({2, 768});
  tensors["bundle_emb.my cat.clip_g"] = torch::randn({2, 1280});
  tensors["lora_unet_conv_in.lora_down.weight"] = torch::empty({0, 4, 3, 3});
  tensors["lora_unet_conv_in.lora_up.weight"] = torch::empty({320, 0, 1, 1});
  const auto path = folder_.path() / "x.safetensors";
  write_safetensors(path, tensors);
  const LoraInfo info = describe(path, true);
  EXPECT_EQ(info.kinds.at("BOFT"), 1u);
  EXPECT_EQ(info.num_without_norm, 1u);
  EXPECT_EQ(info.embeddings.at("my cat").at("clip_g"), 2);
  const std::string text = lora_info_text(info);
  EXPECT_THAT(text, HasSubstr(R"("my cat": vectors "clip_g" 2, "clip_l" 2)"));
  EXPECT_THAT(text, HasSubstr(R"(1 module of rank 0 adds nothing (first: "lora_unet_conv_in"))"));
  EXPECT_THAT(text, HasSubstr("leave out 1 modules"));
  const auto json = nlohmann::json::parse(lora_info_json(info));
  EXPECT_EQ(json.at("embeddings").at("my cat").at("clip_l"), 2);
}

TEST_F(LoraInfoTest, EmbeddingsChangeTheContent) {
  NamedTensors tensors =
      kohya_tensors(by_id({{kOut, random_module(kOut, 4, 2)}}), sdxl(), torch::kHalf);
  const auto content = [&] {
    const auto path = folder_.path() / "x.safetensors";
    write_safetensors(path, tensors);
    LoraInfo info = describe(path);
    add_hashes(info, published_layouts());
    return info.content;
  };
  const auto plain = content();
  tensors["bundle_emb.cat.clip_l"] = torch::ones({2, 768});
  const auto bundled = content();
  tensors["bundle_emb.cat.clip_l"] = torch::zeros({2, 768});
  EXPECT_NE(plain, bundled);
  EXPECT_NE(bundled, content());
}

TEST(TriggerWords, ComeFromKohyasTags) {
  const Metadata metadata = {
      {"ss_tag_frequency", R"({"10_lamp":{"lamp":10,"table":3,"odd":"x"},"b":{"table":9},"c":7})"}};
  const auto words = trigger_words(metadata, 2);
  ASSERT_EQ(words.size(), 2u);
  EXPECT_EQ(words[0], (std::pair<std::string, int64_t>{"table", 12}));
  EXPECT_EQ(words[1], (std::pair<std::string, int64_t>{"lamp", 10}));
  EXPECT_EQ(trigger_words({{"modelspec.trigger_phrase", "ohwx"}})[0].first, "ohwx");
  for (const char* damaged : {"", "{", "[1]", "7", "{\"a\":{\"b\":1e99}}"})
    EXPECT_TRUE(trigger_words({{"ss_tag_frequency", damaged}}).empty()) << damaged;
}

}  // namespace

}  // namespace fourstep
