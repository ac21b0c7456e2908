#include "workbench/merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <csignal>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/hashes.h"
#include "support/files.h"
#include "support/golden.h"
#include "support/tiny_model.h"
#include "workbench/base_model.h"
#include "workbench/random_lora.h"

namespace fourstep {

namespace {

using testing::bytes_of;
using ::testing::HasSubstr;
using testing::message_of;
using testing::read_file;

class Merge : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new testing::TemporaryFolder();
    testing::write_tiny_sdxl(path("base.safetensors"),
                             [](Checkpoint& model) { testing::store_as(model, torch::kHalf); });
    testing::write_random_lora(path("a.safetensors"), 0.05, 100);
    testing::write_random_lora(path("b.safetensors"), 0.03, 900);
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::filesystem::path path(const std::string& name) { return folder_->path() / name; }

  static MergeSettings with(std::vector<WeightedLora> loras,
                            std::optional<Storage> storage = std::nullopt) {
    MergeSettings settings;
    settings.loras = std::move(loras);
    settings.storage = storage;
    settings.with_hashes = false;
    return settings;
  }

  static NamedTensors merged(const MergeSettings& settings,
                             const std::string& name = "out.safetensors",
                             const std::string& base = "base.safetensors") {
    merge_into_file(path(base), settings, path(name), {});
    return open_safetensors(path(name)).tensors;
  }

  static void expect_same(const NamedTensors& a, const NamedTensors& b) {
    ASSERT_EQ(a.size(), b.size());
    for (const auto& [key, tensor] : a) {
      ASSERT_EQ(b.count(key), 1U) << key;
      EXPECT_EQ(tensor.scalar_type(), b.at(key).scalar_type()) << key;
      EXPECT_TRUE(bytes_of(tensor) == bytes_of(b.at(key))) << key;
    }
  }

  static inline testing::TemporaryFolder* folder_ = nullptr;
};

TEST_F(Merge, WeightsAreThoseThatFusingGives) {
  merged(with({{path("a.safetensors"), 0.7, 0.7}}, Storage::kFp32));
  const Checkpoint base = open_checkpoint(path("base.safetensors"));
  const Checkpoint out = open_checkpoint(path("out.safetensors"));
  const LoraMatch match = open_matched_lora(path("a.safetensors"), base);
  ASSERT_GT(match.matched.size(), 30U);
  for (const MatchedModule& m : match.matched) {
    const Tensor expected =
        fuse(base.components.at(m.component).at(m.parameter), {{m.module, 0.7}});
    EXPECT_EQ(bytes_of(out.components.at(m.component).at(m.parameter)), bytes_of(expected))
        << m.parameter;
  }
}

/// Its three projections are one tensor in the file, and its text_projection is transposed there.
TEST_F(Merge, PartsOfFusedAndTransposedTensorsFindTheirPlace) {
  NamedTensors lora;
  const std::vector<std::string> modules = {"text_model_encoder_layers_0_self_attn_k_proj",
                                            "text_model_encoder_layers_1_mlp_fc1",
                                            "text_projection"};
  for (const std::string& module : modules) {
    lora["lora_te2_" + module + ".lora_down.weight"] = testing::random_normal({2, 128}, 1);
    lora["lora_te2_" + module + ".lora_up.weight"] = testing::random_normal({128, 2}, 2);
  }
  write_safetensors(path("te2.safetensors"), lora);
  merged(with({{path("te2.safetensors"), 1, 0.5}}, Storage::kFp32));
  const Checkpoint base = open_checkpoint(path("base.safetensors"));
  const Checkpoint out = open_checkpoint(path("out.safetensors"));
  const LoraMatch match = open_matched_lora(path("te2.safetensors"), base);
  LoraTerms terms = terms_by_parameter({{match, 1, 0.5}});
  for (const auto& [name, weight] : base.components.at(Component::kTextEncoder2)) {
    const Tensor expected = fuse(weight, terms[{Component::kTextEncoder2, name}]);
    const Tensor& got = out.components.at(Component::kTextEncoder2).at(name);
    EXPECT_EQ(bytes_of(got), bytes_of(expected)) << name;
  }
}

TEST_F(Merge, WithoutATypeOnlyTheLorasWeightsChange) {
  const NamedTensors out = merged(with({{path("a.safetensors"), 1, 1}}));
  const BaseModel base = open_base_model(path("base.safetensors"));
  size_t changed = 0;
  for (const auto& [key, tensor] : base.file.tensors) {
    EXPECT_EQ(out.at(key).scalar_type(), tensor.scalar_type()) << key;
    changed += bytes_of(out.at(key)) != bytes_of(tensor) ? 1 : 0;
  }
  EXPECT_EQ(changed, open_matched_lora(path("a.safetensors"), base.checkpoint).matched.size());
}

/// The sum is off by 2^-24 of it, far less than half a step of fp16. Only a zero may come back with
/// the other sign.
TEST_F(Merge, AnFp32MergeIsTakenOutAgainExactly) {
  merged(with({{path("a.safetensors"), 0.7, 0.7}}, Storage::kFp32), "in32.safetensors");
  const NamedTensors out = merged(with({{path("a.safetensors"), -0.7, -0.7}}, Storage::kFp16),
                                  "back.safetensors", "in32.safetensors");
  for (const auto& [key, tensor] : open_safetensors(path("base.safetensors")).tensors) {
    EXPECT_EQ(out.at(key).scalar_type(), tensor.scalar_type()) << key;
    EXPECT_TRUE(torch::equal(out.at(key), tensor)) << key;
  }
}

/// Two roundings to fp16 of values near a weight: at most one spacing, 2^-10 of its size (2^-24
/// below 2^-14).
TEST_F(Merge, AnFp16MergeIsTakenOutWithinItsRounding) {
  merged(with({{path("a.safetensors"), 0.7, 0.7}}), "in16.safetensors");
  const NamedTensors out =
      merged(with({{path("a.safetensors"), -0.7, -0.7}}), "back.safetensors", "in16.safetensors");
  for (const auto& [key, tensor] : open_safetensors(path("base.safetensors")).tensors) {
    if (!at::isFloatingType(tensor.scalar_type())) continue;
    const Tensor before = tensor.to(torch::kFloat), after = out.at(key).to(torch::kFloat);
    if (before.numel() == 0) continue;
    const double most =
        before.abs().max().item<double>() * 1.25;  // the change adds to it in between
    EXPECT_LE((after - before).abs().max().item<double>(), most * std::ldexp(1, -10)) << key;
  }
}

TEST_F(Merge, OrderOfLorasChangesNoBit) {
  const WeightedLora a{path("a.safetensors"), 0.6, 0.6}, b{path("b.safetensors"), -0.3, -0.3};
  const NamedTensors first = merged(with({a, b}), "ab.safetensors");
  expect_same(first, merged(with({b, a}), "ba.safetensors"));
}

TEST_F(Merge, TypesAreAsAsked) {
  const NamedTensors bf16 =
      merged(with({{path("a.safetensors"), 1, 1}}, Storage::kBf16), "1.safetensors");
  const NamedTensors fp8 =
      merged(with({{path("a.safetensors"), 1, 1}}, Storage::kFp8), "2.safetensors");
  for (const auto& [key, tensor] : bf16) {
    if (tensor.numel() > 1) {
      EXPECT_EQ(tensor.scalar_type(), torch::kBFloat16) << key;
    }
  }
  const std::string unet = "model.diffusion_model.input_blocks.1.0.in_layers.2.";
  EXPECT_EQ(fp8.at(unet + "weight").scalar_type(), torch::kFloat8_e4m3fn);
  EXPECT_EQ(fp8.at(unet + "bias").scalar_type(), torch::kHalf);
  EXPECT_EQ(fp8.at("first_stage_model.decoder.conv_in.weight").scalar_type(), torch::kHalf);
  EXPECT_NO_THROW(open_checkpoint(path("2.safetensors")));
}

TEST_F(Merge, StochasticRoundingFollowsTheSeed) {
  MergeSettings settings = with({{path("a.safetensors"), 0.01, 0.01}}, Storage::kBf16);
  settings.rounding = StorageRounding::kStochastic;
  settings.seed = 3;
  const NamedTensors first = merged(settings, "s3.safetensors");
  expect_same(first, merged(settings, "s3again.safetensors"));
  settings.seed = 4;
  const NamedTensors other = merged(settings, "s4.safetensors");
  const std::string key = "model.diffusion_model.input_blocks.1.0.in_layers.2.weight";
  EXPECT_NE(bytes_of(first.at(key)), bytes_of(other.at(key)));
}

TEST_F(Merge, MetadataNameThePartsWeightsHashesAndLicences) {
  TensorFile lora = open_safetensors(path("a.safetensors"));
  write_safetensors(path("licensed.safetensors"), lora.tensors, {{"modelspec.license", "CC0-1.0"}});
  MergeSettings settings = with({{path("licensed.safetensors"), 0.7, 0.7}});
  settings.with_hashes = true;
  merged(settings);
  const auto metadata = open_safetensors(path("out.safetensors")).metadata;
  const auto recipe = nlohmann::json::parse(metadata.at("sd_merge_recipe"));
  EXPECT_EQ(recipe.at("base").at("name"), "base.safetensors");
  EXPECT_EQ(recipe.at("loras").at(0).at("weight"), 0.7);
  EXPECT_EQ(recipe.at("loras").at(0).at("license"), "CC0-1.0");
  const std::string sha256 = recipe.at("loras").at(0).at("sha256");
  EXPECT_EQ(sha256, compute_hashes(path("licensed.safetensors"))->sha256);
  EXPECT_EQ(nlohmann::json::parse(metadata.at("sd_merge_models")).at(sha256).at("name"),
            "licensed.safetensors");
  EXPECT_EQ(metadata.at("modelspec.license"), "CC0-1.0");
  EXPECT_THAT(metadata.at("modelspec.merged_from"), HasSubstr("licensed.safetensors"));
  EXPECT_EQ(metadata.count("fourstep.merges"), 1U) << "what the base carried is kept";
}

TEST_F(Merge, UnsuitableOutputsAndLorasAreRefusedInOneSentence) {
  const auto refusal = [&](const MergeSettings& settings, const std::string& out) {
    const std::string text = message_of<Error>(
        [&] { merge_into_file(path("base.safetensors"), settings, path(out), {}); });
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    return text;
  };
  const MergeSettings settings = with({{path("a.safetensors"), 1, 1}});
  EXPECT_THAT(refusal(settings, "base.safetensors"), HasSubstr("name another output"));
  EXPECT_THAT(refusal(settings, "a.safetensors"), HasSubstr("name another output"));
  EXPECT_THAT(refusal(settings, "x.ckpt"), HasSubstr(".safetensors"));
  EXPECT_THAT(refusal(settings, "no/x.safetensors"), HasSubstr("no folder"));
  EXPECT_THAT(refusal(with({{path("a.safetensors"), 1e30, 1}}), "x.safetensors"),
              HasSubstr("65504"));
  const std::string key = "lora_unet_down_blocks_1_attentions_0_proj_in";
  write_safetensors(path("sd15.safetensors"), {{key + ".lora_down.weight", torch::randn({2, 768})},
                                               {key + ".lora_up.weight", torch::randn({320, 2})}});
  EXPECT_THAT(refusal(with({{path("sd15.safetensors"), 1, 1}}), "x.safetensors"),
              HasSubstr("1 of 1 modules do not fit"));
  EXPECT_FALSE(std::filesystem::exists(path("x.safetensors")));
}

/// A limit on the size of files stands in for a disk that is full in the middle of the work.
TEST_F(Merge, FullDiskLeavesNothingBehind) {
  testing::TemporaryFolder folder;
  const std::filesystem::path out = folder.path() / "out.safetensors";
  testing::write_file(out, "what was there before");
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1 << 20, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string text = message_of<Error>([&] {
    merge_into_file(path("base.safetensors"), with({{path("a.safetensors"), 1, 1}}), out, {});
  });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(text, HasSubstr("cannot write"));
  EXPECT_EQ(read_file(out), "what was there before");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST_F(Merge, StoppingLeavesNothingBehind) {
  testing::TemporaryFolder folder;
  int calls = 0;
  Events events;
  events.is_cancelled = [&] { return ++calls > 20; };
  EXPECT_THROW(merge_into_file(path("base.safetensors"), with({{path("a.safetensors"), 1, 1}}),
                               folder.path() / "out.safetensors", events),
               Cancelled);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

/// A LoRA for the query of the tiny UNet's middle, under the keys `tensors`.
constexpr const char* kMiddle = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q";

TEST_F(Merge, KindsThatDependOnTheWeightAreFusedAndEmbeddingsStayBehindWithANotice) {
  const std::string parameter = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight";
  const Tensor before = open_base_model(path("base.safetensors"))
                            .checkpoint.components.at(Component::kUnet)
                            .at(parameter);
  const int64_t rows = before.size(0);
  torch::manual_seed(8);
  write_safetensors(path("oft.safetensors"),
                    {{std::string(kMiddle) + ".oft_blocks", torch::randn({rows / 4, 4, 4})},
                     {"bundle_emb.cat.clip_l", torch::randn({2, 64})}});
  const MergeReport report = merge_into_file(
      path("base.safetensors"), with({{path("oft.safetensors")}}), path("out.safetensors"), {});
  ASSERT_EQ(report.loras.size(), 2u);
  EXPECT_THAT(report.loras[1], HasSubstr("bundled embeddings (cat)"));
  const LoraFile lora = open_lora(path("oft.safetensors"));
  const Tensor expected = fuse(before, {{lora.weights.begin()->second, 1}}).to(torch::kHalf);
  const Tensor after = open_base_model(path("out.safetensors"))
                           .checkpoint.components.at(Component::kUnet)
                           .at(parameter);
  EXPECT_TRUE(torch::equal(after, expected));
}

using testing::bytes_of;
using ::testing::HasSubstr;
using testing::message_of;

MergeSettings settings_of(std::optional<Storage> storage = std::nullopt) {
  MergeSettings settings;
  settings.storage = storage;
  settings.with_hashes = false;
  return settings;
}

class Convert : public ::testing::Test {
 protected:
  void SetUp() override { testing::write_tiny_sdxl(path("model.safetensors")); }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }
  testing::TemporaryFolder folder_;
};

void expect_same(const Checkpoint& a, const Checkpoint& b) {
  ASSERT_EQ(a.components.size(), b.components.size());
  for (const auto& [component, weights] : a.components) {
    ASSERT_EQ(weights.size(), b.components.at(component).size());
    for (const auto& [name, tensor] : weights) {
      EXPECT_EQ(bytes_of(tensor), bytes_of(b.components.at(component).at(name))) << name;
    }
  }
}

TEST_F(Convert, ThroughAFolderAndBackNothingChanges) {
  convert_model(path("model.safetensors"), settings_of(), path("folder"), {});
  const Checkpoint before = open_checkpoint(path("model.safetensors"));
  const Checkpoint folder = open_checkpoint(path("folder"));
  expect_same(before, folder);
  EXPECT_EQ(folder.family, before.family);
  EXPECT_EQ(folder.prediction, before.prediction);
  convert_model(path("folder"), settings_of(), path("back.safetensors"), {});
  expect_same(before, open_checkpoint(path("back.safetensors")));
}

TEST_F(Convert, MetadataAndVocabularyGoThroughAFolderAndBack) {
  const std::map<std::string, std::string> said{{"modelspec.resolution", "64x64"},
                                                {"modelspec.license", "Apache-2.0"},
                                                {"sd_merge_recipe", "{}"},
                                                {"fourstep.merges", "a b</w>\nc d</w>"}};
  testing::write_tiny_sdxl(path("said.safetensors"), [&](Checkpoint& model) {
    model.metadata = said;
    model.merges_text = said.at("fourstep.merges");
  });
  convert_model(path("said.safetensors"), settings_of(), path("folder"), {});
  convert_model(path("folder"), settings_of(), path("back.safetensors"), {});
  for (const char* name : {"folder", "back.safetensors"}) {
    const Checkpoint model = open_checkpoint(path(name));
    EXPECT_EQ(native_side_of(model), 64) << name;
    EXPECT_EQ(model.merges_text, said.at("fourstep.merges")) << name;
    for (const auto& [key, text] : said) EXPECT_EQ(model.metadata.at(key), text) << name;
  }
}

TEST_F(Convert, ValuesBeyondFp16AreRefusedInFoldersToo) {
  testing::write_tiny_sdxl(path("large.safetensors"), [](Checkpoint& model) {
    auto& unet = model.components.at(Component::kUnet);
    unet.at("conv_in.weight") = torch::full_like(unet.at("conv_in.weight"), 1e6, torch::kFloat);
  });
  for (const char* output : {"folder", "file.safetensors"}) {
    EXPECT_THAT(message_of<Error>([&] {
                  convert_model(path("large.safetensors"), settings_of(Storage::kFp16),
                                path(output), {});
                }),
                HasSubstr("is beyond fp16's largest value (65504)"))
        << output;
    EXPECT_FALSE(std::filesystem::exists(path(output)));
  }
}

TEST_F(Convert, FoldersSayWhatShapesCannot) {
  testing::write_tiny_sdxl(path("v.safetensors"), [](Checkpoint& model) {
    model.prediction = Prediction::kV;
    model.hints.vae_scaling_factor = 0.5;
    model.hints.text_activation = "gelu";
    model.hints.unet_heads = {2, 4};
  });
  convert_model(path("v.safetensors"), settings_of(), path("folder"), {});
  const Checkpoint folder = open_checkpoint(path("folder"));
  EXPECT_EQ(folder.prediction, Prediction::kV);
  EXPECT_EQ(folder.hints.vae_scaling_factor, 0.5);
  EXPECT_EQ(folder.hints.text_activation, "gelu");
  EXPECT_EQ(folder.hints.unet_heads, (std::vector<int64_t>{2, 4}));
}

TEST_F(Convert, TypesChangeByOneRounding) {
  convert_model(path("model.safetensors"), settings_of(Storage::kBf16), path("b.safetensors"), {});
  convert_model(path("model.safetensors"), settings_of(Storage::kBf16), path("folder"), {});
  const Checkpoint before = open_checkpoint(path("model.safetensors"));
  const Checkpoint file = open_checkpoint(path("b.safetensors"));
  expect_same(file, open_checkpoint(path("folder")));
  for (const auto& [name, tensor] : before.components.at(Component::kUnet)) {
    EXPECT_EQ(bytes_of(tensor.to(torch::kBFloat16)),
              bytes_of(file.components.at(Component::kUnet).at(name)))
        << name;
  }
}

TEST_F(Convert, FoldersAreNeverHalfWritten) {
  Events events;
  int calls = 0;
  events.is_cancelled = [&] { return ++calls > 30; };
  EXPECT_THROW(convert_model(path("model.safetensors"), settings_of(), path("folder"), events),
               Cancelled);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
  std::filesystem::create_directory(path("there"));
  const auto refusal = [&](const std::filesystem::path& output) {
    return message_of<Error>(
        [&] { convert_model(path("model.safetensors"), settings_of(), output, {}); });
  };
  EXPECT_THAT(refusal(path("there")), HasSubstr("exists already"));
  EXPECT_THAT(refusal(path("no/folder")), HasSubstr("cannot make the folder"));
}

}  // namespace

}  // namespace fourstep
