#include "lora/lora_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <cmath>
#include <fstream>

#include "base/error.h"
#include "io/safetensors.h"
#include "lora/fuse.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TensorFile file_of(NamedTensors tensors) {
  TensorFile file;
  file.path = "style.safetensors";
  file.tensors = std::move(tensors);
  return file;
}

Tensor ramp(const Shape& shape) {
  int64_t numel = 1;
  for (const int64_t n : shape) numel *= n;
  return torch::arange(1, numel + 1, torch::kFloat).reshape(shape) * 0.01;
}

/// down [2,3] and up [4,2] under the given suffixes.
TensorFile pair_of(const std::string& down, const std::string& up) {
  return file_of({{"m" + down, ramp({2, 3})}, {"m" + up, ramp({4, 2})}});
}

std::string message_of(const NamedTensors& tensors) {
  try {
    parse_lora(file_of(tensors));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(LoraFile, EverySpellingOfTheFactorsGivesTheSameDelta) {
  const std::vector<std::pair<std::string, std::string>> spellings = {
      {".lora_down.weight", ".lora_up.weight"},
      {".lora.down.weight", ".lora.up.weight"},
      {"_lora.down.weight", "_lora.up.weight"},
      {".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight"},
      {".lora_A.weight", ".lora_B.weight"},
      {".lora_A.default.weight", ".lora_B.default.weight"},
      {".lora_A.my_style.weight", ".lora_B.my_style.weight"},
      {".lora_A", ".lora_B"}};
  const Tensor expected = torch::mm(ramp({4, 2}), ramp({2, 3}));
  for (const auto& [down, up] : spellings) {
    const LoraFile lora = parse_lora(pair_of(down, up));
    ASSERT_THAT(lora.module_names(), ElementsAre("m")) << down;
    EXPECT_TRUE(torch::allclose(delta(lora.weights.at("m"), {4, 3}), expected, 1e-6, 0)) << down;
  }
}

TEST(LoraFile, AlphaIsReadFromAnyTypeAndShapeOfOneElement) {
  for (const Tensor& alpha :
       {torch::tensor(8, torch::kHalf), torch::tensor({8}, torch::kLong), torch::tensor(8.0F),
        torch::tensor({8.0}, torch::kDouble), torch::tensor(8, torch::kBFloat16)}) {
    TensorFile file = pair_of(".lora_down.weight", ".lora_up.weight");
    file.tensors["m.alpha"] = alpha;
    EXPECT_EQ(factor_of(parse_lora(file).weights.at("m")), 4.0) << alpha.dtype();
  }
}

TEST(LoraFile, MissingAlphaMeansTheRankAndStoredZeroSwitchesOff) {
  TensorFile file = pair_of(".lora_down.weight", ".lora_up.weight");
  EXPECT_EQ(factor_of(parse_lora(file).weights.at("m")), 1.0);
  file.tensors["m.alpha"] = torch::tensor(0.0F);
  EXPECT_EQ(factor_of(parse_lora(file).weights.at("m")), 0.0);
}

TEST(LoraFile, AlphaOfSeveralNumbersOrNaNIsRefused) {
  NamedTensors tensors = pair_of(".lora_down.weight", ".lora_up.weight").tensors;
  tensors["m.alpha"] = torch::ones({2});
  EXPECT_THAT(message_of(tensors), HasSubstr("m.alpha: shape [2], expected one number"));
  tensors["m.alpha"] = torch::tensor(NAN);
  EXPECT_THAT(message_of(tensors), HasSubstr("m.alpha: holds NaN"));
}

TEST(LoraFile, AlphaOfMetadataCountsWhereNoTensorSaysIt) {
  TensorFile file = file_of({{"unet.a.b.lora_A.weight", ramp({2, 3})},
                             {"unet.a.b.lora_B.weight", ramp({4, 2})},
                             {"text_encoder.c.lora_A.weight", ramp({2, 3})},
                             {"text_encoder.c.lora_B.weight", ramp({4, 2})}});
  file.metadata["lora_adapter_metadata"] =
      R"({"unet.r": 2, "unet.lora_alpha": 8, "unet.alpha_pattern": {"a.b": 6}})";
  const LoraFile lora = parse_lora(file);
  EXPECT_EQ(factor_of(lora.weights.at("unet.a.b")), 3.0);
  EXPECT_EQ(factor_of(lora.weights.at("text_encoder.c")), 1.0);
}

TEST(LoraFile, NaNOrInfinityNamesFileAndKeyInEveryType) {
  for (const auto dtype : {torch::kHalf, torch::kBFloat16, torch::kFloat, torch::kDouble}) {
    for (const double bad : {double(NAN), double(INFINITY), double(-INFINITY)}) {
      NamedTensors tensors = pair_of(".lora_down.weight", ".lora_up.weight").tensors;
      Tensor up = ramp({4, 2}).to(dtype);
      up[3][1] = bad;
      tensors["m.lora_up.weight"] = up;
      EXPECT_THAT(message_of(tensors),
                  ::testing::AllOf(HasSubstr("style.safetensors"), HasSubstr("m.lora_up.weight")))
          << dtype << bad;
    }
  }
}

TEST(LoraFile, LargeFiniteValuesAreNoInfinity) {
  NamedTensors tensors = pair_of(".lora_down.weight", ".lora_up.weight").tensors;
  tensors["m.lora_up.weight"] = torch::full({4, 2}, 65504, torch::kHalf);
  EXPECT_EQ(message_of(tensors), "");
}

TEST(LoraFile, HalfAModuleAndDisagreeingRanksAreRefused) {
  EXPECT_THAT(message_of({{"m.lora_down.weight", ramp({2, 3})}}), HasSubstr("lora_up is missing"));
  EXPECT_THAT(message_of({{"m.lora_up.weight", ramp({2, 3})}}), HasSubstr("lora_down is missing"));
  EXPECT_THAT(
      message_of({{"m.lora_up.weight", ramp({4, 2})}, {"m.lora_down.weight", ramp({3, 5})}}),
      HasSubstr("ranks 3 and 2"));
  EXPECT_THAT(message_of({{"m.lora_up.weight", ramp({4})}, {"m.lora_down.weight", ramp({3, 5})}}),
              HasSubstr("expected a matrix"));
  EXPECT_THAT(message_of({{"m.hada_w1_a", ramp({4, 2})}}), HasSubstr("hada_w1_b is missing"));
  EXPECT_THAT(message_of({{"m.lokr_w1", ramp({4, 2})}}), HasSubstr("lokr_w2_a is missing"));
  EXPECT_THAT(message_of({{"m.lora_up.weight", torch::empty({0, 2})}}), HasSubstr("is empty"));
}

TEST(LoraFile, TheSameTensorUnderTwoSpellingsIsRefused) {
  NamedTensors tensors = pair_of(".lora_down.weight", ".lora_up.weight").tensors;
  tensors["m.lora_A.weight"] = ramp({2, 3});
  EXPECT_THAT(message_of(tensors), HasSubstr("twice"));
}

TEST(LoraFile, KindsThatCannotBeAppliedAreNamed) {
  const std::map<std::string, std::string> kinds = {{"m.oft_diag", "OFT of LyCORIS before 2.0"},
                                                    {"m.boft_s", "PEFT's BOFT"},
                                                    {"m.ia3_l", "PEFT's IA3"},
                                                    {"m.oft_R.weight", "PEFT's OFT"},
                                                    {"m.lora_embedding_A", "embedding table"}};
  for (const auto& [key, kind] : kinds) {
    EXPECT_THAT(message_of({{key, ramp({2, 2})}}), HasSubstr(kind)) << key;
  }
}

TEST(LoraFile, FilesThatAreNoLoraAreRecognised) {
  const std::map<std::string, std::string> files = {
      {"model.diffusion_model.input_blocks.0.0.weight", "full checkpoint"},
      {"down_blocks.0.resnets.0.conv1.weight", "UNet"},
      {"controlnet_cond_embedding.conv_in.weight", "ControlNet"},
      {"lllite_unet_input_blocks_4_1.depth", "ControlNet-LLLite"},
      {"ip_adapter.1.to_k_ip.weight", "IP-Adapter"},
      {"clip_g", "textual inversion"},
      {"emb_params", "textual inversion"},
      {"double_blocks.0.img_attn.proj.weight", "Flux"},
      {"first_stage_model.decoder.conv_in.weight", "VAE"},
      {"something", "first: \"something\""}};
  for (const auto& [key, what] : files) {
    EXPECT_THAT(message_of({{key, ramp({2, 2})}}), HasSubstr(what)) << key;
  }
  EXPECT_THAT(message_of({}), HasSubstr("no tensors"));
}

TEST(LoraFile, BiasDifferencesAndBundledEmbeddingsAreKeptApart) {
  const LoraFile lora = parse_lora(file_of({{"m.diff", ramp({4, 3})},
                                            {"m.diff_b", ramp({4})},
                                            {"n.w_norm", ramp({4})},
                                            {"n.b_norm", ramp({4})},
                                            {"o.diff_b", ramp({4})},
                                            {"bundle_emb.cat.string_to_param.*", ramp({1, 8})},
                                            {"p.mystery", ramp({1})}}));
  EXPECT_THAT(lora.module_names(), ElementsAre("m", "n", "o"));
  EXPECT_EQ(lora.weights.size(), 2U);
  EXPECT_EQ(lora.biases.size(), 3U);
  ASSERT_EQ(lora.embeddings.count("cat"), 1U);
  EXPECT_EQ(shape_of(lora.embeddings.at("cat").at("*")), (Shape{1, 8}));
  EXPECT_THAT(lora.unknown_keys, ElementsAre("p.mystery"));
}

TEST(LoraFile, ModulesOfRankZeroAreListedAndRefuseNothing) {
  NamedTensors tensors = pair_of(".lora_down.weight", ".lora_up.weight").tensors;
  tensors["z.lora_down.weight"] = torch::empty({0, 3});
  tensors["z.lora_up.weight"] = torch::empty({4, 0});
  tensors["z.alpha"] = torch::tensor(1.0F);
  tensors["c.lora_down.weight"] = torch::empty({0, 3, 3, 3});
  tensors["c.lora_up.weight"] = torch::empty({4, 0, 1, 1});
  const LoraFile lora = parse_lora(file_of(tensors));
  EXPECT_THAT(lora.module_names(), ElementsAre("m"));
  EXPECT_THAT(lora.empty_modules, ElementsAre("c", "z"));
  tensors.erase("m.lora_down.weight");
  tensors.erase("m.lora_up.weight");
  EXPECT_EQ(message_of(tensors), "") << "a file of nothing else";
  tensors["z.lora_up.weight"] = ramp({4, 2});
  EXPECT_THAT(message_of(tensors), HasSubstr("ranks 0 and 2"));
  tensors["z.lora_up.weight"] = torch::empty({0, 2});
  EXPECT_THAT(message_of(tensors), HasSubstr("z.lora_up.weight: shape [0,2] is empty"));
}

TEST(LoraFile, MagnitudesActWithoutAnyRank) {
  const LoraFile lora = parse_lora(file_of({{"m.lora_down.weight", torch::empty({0, 3})},
                                            {"m.lora_up.weight", torch::empty({4, 0})},
                                            {"m.dora_scale", torch::full({4, 1}, 2.0F)}}));
  const Tensor w = ramp({4, 3});
  const Tensor merged = fuse(w, {{lora.weights.at("m"), 1.0}});
  EXPECT_TRUE(torch::allclose(merged, 2 * w / w.norm(2, {1}, true), 1e-6, 0));
}

TEST(LoraFile, TheBiasOfTheUpFactorIsScaledAsItsFactorsAre) {
  TensorFile file = pair_of(".lora_A.weight", ".lora_B.weight");
  file.tensors["m.lora_B.bias"] = ramp({4});
  file.tensors["m.alpha"] = torch::tensor(3.0F);  // alpha / rank = 1.5
  const LoraFile lora = parse_lora(file);
  EXPECT_TRUE(torch::allclose(delta(lora.biases.at("m"), {4}), 1.5 * ramp({4}), 1e-6, 0));
  PeftConfig config;
  config.alpha = 8;
  config.rank = 2;
  file.tensors.erase("m.alpha");
  const LoraFile configured = parse_lora(file, config);
  EXPECT_TRUE(torch::allclose(delta(configured.biases.at("m"), {4}), 4 * ramp({4}), 1e-6, 0));
}

TEST(LoraFile, WholeWeightsCountOnlyBesideALora) {
  NamedTensors tensors = pair_of(".lora_A.weight", ".lora_B.weight").tensors;
  tensors["unet.conv_in.weight"] = ramp({4, 3});
  tensors["unet.conv_in.bias"] = ramp({4});
  tensors["lora_unet_conv_in.weight"] = ramp({4});
  const LoraFile lora = parse_lora(file_of(tensors));
  EXPECT_TRUE(std::holds_alternative<Replacement>(lora.weights.at("unet.conv_in").weight));
  EXPECT_TRUE(std::holds_alternative<Replacement>(lora.biases.at("unet.conv_in").weight));
  EXPECT_THAT(lora.unknown_keys, ::testing::Contains("lora_unet_conv_in.weight"));
  EXPECT_THAT(message_of({{"unet.conv_in.weight", ramp({4, 3})}}), HasSubstr("no LoRA"));
  tensors["m.q.base_layer.weight"] = ramp({4, 3});
  tensors["m.q.lora_A.weight"] = ramp({2, 3});
  tensors["m.q.lora_B.weight"] = ramp({4, 2});
  EXPECT_THAT(message_of(tensors), HasSubstr("m.q: the file holds the weight itself"));
}

TEST(LoraFile, MagnitudeVectorsOfPeftAreScalesPerOutput) {
  for (const char* key :
       {"m.lora_magnitude_vector", "m.lora_magnitude_vector.weight",
        "m.lora_magnitude_vector.default", "m.lora_magnitude_vector.default.weight"}) {
    TensorFile file = pair_of(".lora_A.weight", ".lora_B.weight");
    file.tensors[key] = ramp({1, 4, 1, 1});
    EXPECT_EQ(shape_of(parse_lora(file).weights.at("m").dora_scale), (Shape{4, 1})) << key;
  }
}

using ::testing::HasSubstr;

class OpenLora : public ::testing::Test {
 protected:
  void write(const std::string& name, const Metadata& metadata = {}) {
    write_safetensors(folder_.path() / name,
                      {{"base_model.model.x.lora_A.weight", torch::ones({4, 3})},
                       {"base_model.model.x.lora_B.weight", torch::ones({5, 4})}},
                      metadata);
  }
  void configure() {
    std::ofstream(folder_.path() / "adapter_config.json") << R"({"r": 4, "lora_alpha": 2})";
  }
  static double factor(const LoraFile& file) { return factor_of(file.weights.begin()->second); }

  testing::TemporaryFolder folder_;
};

TEST_F(OpenLora, APeftFolderBringsItsAlpha) {
  write("adapter_model.safetensors");
  configure();
  EXPECT_EQ(factor(open_lora(folder_.path())), 0.5);
  EXPECT_EQ(factor(open_lora(folder_.path() / "adapter_model.safetensors")), 0.5);
}

TEST_F(OpenLora, AConfigurationBesideAnotherFileIsNotItsOwn) {
  write("style.safetensors");
  configure();
  EXPECT_EQ(factor(open_lora(folder_.path() / "style.safetensors")), 1.0);
}

TEST_F(OpenLora, ADiffusersFolderBringsItsMetadata) {
  write("pytorch_lora_weights.safetensors",
        {{"lora_adapter_metadata", R"({"base_model.model.lora_alpha": 8})"}});
  EXPECT_EQ(factor(open_lora(folder_.path())), 2.0);
}

TEST_F(OpenLora, AFolderWithoutWeightsIsAnError) {
  try {
    open_lora(folder_.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("neither adapter_model nor pytorch_lora_weights"));
  }
}

TEST_F(OpenLora, FactorsInScaledFp8HaveTheirTrueValues) {
  const auto path = folder_.path() / "scaled.safetensors";
  write_safetensors(path, {{"x.lora_down.weight", torch::ones({4, 3}).to(torch::kFloat8_e4m3fn)},
                           {"x.lora_down.weight_scale", torch::tensor(0.3F)},
                           {"x.lora_up.weight", torch::ones({5, 4})},
                           {"x.alpha", torch::full({}, 4, torch::kLong)}});
  const LoraFile file = open_lora(path);
  const auto& low = std::get<LowRank>(file.weights.at("x").weight);
  EXPECT_TRUE(torch::equal(low.down, torch::full({4, 3}, 0.3F)));
  EXPECT_TRUE(file.unknown_keys.empty());
}

TEST_F(OpenLora, QuantisedFactorsAreRefusedByName) {
  const auto path = folder_.path() / "int8.safetensors";
  write_safetensors(path, {{"x.lora_down.weight", torch::ones({4, 3}, torch::kChar)},
                           {"x.lora_up.weight", torch::ones({5, 4})}});
  try {
    open_lora(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("quantised (int8 without a scale), key \"x.lora_down.weight"));
  }
}

TEST_F(OpenLora, AMissingFileIsAnError) { EXPECT_THROW(open_lora(folder_.path() / "no"), Error); }

using ::testing::HasSubstr;
using testing::message_of;

void expect_bundled(const std::string& key, const std::string& name, const std::string& part) {
  const auto split = split_bundled_key(key);
  ASSERT_TRUE(split) << key;
  EXPECT_EQ(split->name, name);
  EXPECT_EQ(split->part, part);
}

TEST(BundledEmbeddings, EveryFormOfKeyHasANameAndAPart) {
  expect_bundled("bundle_emb.mytok.clip_l", "mytok", "clip_l");
  expect_bundled("bundle_emb.mytok.clip_g", "mytok", "clip_g");
  expect_bundled("bundle_emb.mytok.emb_params", "mytok", "emb_params");
  expect_bundled("bundle_emb.mytok.string_to_param.*", "mytok", "*");
  expect_bundled("bundle_emb.mytok.<mytok>", "mytok", "<mytok>");
  expect_bundled("bundle_emb.mytok.clip_l_out", "mytok", "clip_l_out");
}

TEST(BundledEmbeddings, NamesMayHaveDotsAndBlanks) {
  expect_bundled("bundle_emb.my cat v1.5.clip_g", "my cat v1.5", "clip_g");
  expect_bundled("bundle_emb.v1.5.string_to_param.*", "v1.5", "*");
}

TEST(BundledEmbeddings, OtherKeysAreNone) {
  for (const char* key :
       {"bundle_emb.mytok", "bundle_emb..clip_l", "bundle_emb.", "x.clip_l", "bundle_emb.mytok."}) {
    EXPECT_FALSE(split_bundled_key(key)) << key;
  }
}

TEST(BundledEmbeddings, KeysAreWrittenAsTheyWereRead) {
  NamedTensors tensors;
  for (const char* key :
       {"bundle_emb.a.b.clip_l", "bundle_emb.c.emb_params", "bundle_emb.d e.string_to_param.*"}) {
    tensors[key] = torch::ones({2, 4});
  }
  BundledEmbeddings embeddings;
  for (const auto& [key, tensor] : tensors) {
    const auto split = split_bundled_key(key);
    embeddings[split->name][split->part] = tensor;
  }
  EXPECT_EQ(shapes_of(bundled_tensors(embeddings)), shapes_of(tensors));
}

TEST(BundledEmbeddings, EqualOnesJoinAndOthersOfTheSameNameAreRefused) {
  BundledEmbeddings all{{"cat", {{"clip_l", torch::ones({2, 4})}}}};
  add_embeddings(all,
                 {{"cat", {{"clip_l", torch::ones({2, 4}, torch::kHalf)}}},
                  {"dog", {{"clip_l", torch::ones({1, 4})}}}},
                 "b.safetensors");
  EXPECT_EQ(names_text(all), "cat, dog");
  for (const Tensor& other : {torch::zeros({2, 4}), torch::ones({1, 4})}) {
    const auto add = [&] { add_embeddings(all, {{"cat", {{"clip_l", other}}}}, "c.safetensors"); };
    EXPECT_THAT(message_of<InvalidRequest>(add),
                ::testing::AllOf(HasSubstr("c.safetensors"), HasSubstr("\"cat\"")));
  }
}

}  // namespace

}  // namespace fourstep
