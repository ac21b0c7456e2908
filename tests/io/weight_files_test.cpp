#include "io/weight_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "io/checkpoint.h"
#include "io/safetensors.h"
#include "io/single_file.h"
#include "support/files.h"
#include "support/golden.h"
#include "tiny_model.h"

namespace fourstep {
namespace {

namespace fs = std::filesystem;
using testing::equal_tensors;
using ::testing::HasSubstr;
using testing::message_of;
using testing::write_file;

/// A folder of weights; `all` has five tensors, of which shard i of n gets every n-th.
struct WeightFolder {
  WeightFolder() {
    for (const char* name : {"a", "b", "c", "d", "e"}) all[name] = torch::randn({2, 3});
  }

  NamedTensors part(int64_t number, int64_t count) const {
    NamedTensors tensors;
    int64_t i = 0;
    for (const auto& [name, tensor] : all)
      if (i++ % count == number - 1) tensors[name] = tensor;
    return tensors;
  }
  void write_shards(const std::string& before, int64_t count,
                    const std::string& after = ".safetensors") const {
    for (int64_t i = 1; i <= count; ++i) {
      write_safetensors(path(fmt::format("{}-{:05}-of-{:05}{}", before, i, count, after)),
                        part(i, count));
    }
  }
  /// weight_map: every tensor in the shard of its turn, `names` giving the files.
  void write_index(const std::string& name, const std::vector<std::string>& names) const {
    std::string map;
    size_t i = 0;
    for (const auto& [tensor, value] : all)
      map += fmt::format("{}\"{}\":\"{}\"", i == 0 ? "" : ",", tensor, names[i % names.size()]),
          ++i;
    write_file(path(name), "{\"metadata\":{\"total_size\":120},\"weight_map\":{" + map + "}}");
  }
  fs::path path(const std::string& name) const { return folder.path() / name; }
  NamedTensors read() const { return read_weight_files(find_weight_files(folder.path())).tensors; }
  std::string problem() const {
    return message_of<Error>([&] { read(); });
  }
  std::string notice() const { return find_weight_files(folder.path()).notice; }

  testing::TemporaryFolder folder;
  NamedTensors all;
};

class WeightFilesTest : public ::testing::Test, protected WeightFolder {};

TEST_F(WeightFilesTest, NamesOfShardsAreUnderstood) {
  const auto name = shard_name("model.fp16-00002-of-00010.safetensors");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->before, "model.fp16-");
  EXPECT_EQ(name->after, ".safetensors");
  EXPECT_EQ(name->number, 2);
  EXPECT_EQ(name->count, 10);
  for (const char* other :
       {"model.safetensors", "lora-1-of-3.safetensors", "lora-000010.safetensors",
        "x-00003-of-00002.safetensors", "x-00000-of-00002.safetensors",
        "x-0001-of-00002.safetensors", "x-00001-of-99999.safetensors"})
    EXPECT_FALSE(shard_name(other)) << other;
  EXPECT_EQ(stem_without_shard("/a/sdxl-00001-of-00002.safetensors"), "sdxl");
  EXPECT_EQ(stem_without_shard("/a/model-00001-of-00002.fp16.safetensors"), "model.fp16");
  EXPECT_EQ(stem_without_shard("/a/sdxl.v1.safetensors"), "sdxl.v1");
}

TEST_F(WeightFilesTest, ShardsWithoutAnIndexAreJoinedUnderAllTheirNames) {
  for (const auto& [before, after] : std::vector<std::pair<std::string, std::string>>{
           {"diffusion_pytorch_model", ".safetensors"},
           {"diffusion_pytorch_model.fp16", ".safetensors"},
           {"diffusion_pytorch_model", ".fp16.safetensors"},
           {"model", ".safetensors"},
           {"pytorch_model", ".bin"},
           {"sd_xl_base_1.0", ".safetensors"}}) {
    const WeightFolder other;
    other.write_shards(before, 3, after);
    EXPECT_TRUE(equal_tensors(other.read(), other.all)) << before << after;
    EXPECT_EQ(other.notice(), "");
    EXPECT_TRUE(has_usual_weights(other.folder.path()));
  }
}

TEST_F(WeightFilesTest, AnyShardStandsForAll) {
  write_shards("model", 2);
  for (const char* name :
       {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}) {
    const TensorFile file = open_tensor_file(path(name));
    EXPECT_TRUE(equal_tensors(file.tensors, all)) << name;
    EXPECT_EQ(file.path, path(name));
    EXPECT_EQ(file.num_files, 2U);
  }
  EXPECT_EQ(open_one_tensor_file(path("model-00001-of-00002.safetensors")).tensors.size(), 3U);
  EXPECT_FALSE(is_whole_file(path("model-00001-of-00002.safetensors")));
  EXPECT_TRUE(is_whole_file(path("model-00001-of-00001.safetensors")));
}

TEST_F(WeightFilesTest, AMissingShardIsNamed) {
  write_shards("model", 3);
  fs::remove(path("model-00002-of-00003.safetensors"));
  EXPECT_THAT(problem(), HasSubstr("model-00002-of-00003.safetensors"));
  EXPECT_THAT(problem(), HasSubstr("1 of 3 shards are missing"));
  EXPECT_THAT(
      message_of<Error>([&] { open_tensor_file(path("model-00003-of-00003.safetensors")); }),
      HasSubstr("model-00002-of-00003.safetensors"));
}

TEST_F(WeightFilesTest, ATruncatedShardIsNamed) {
  write_shards("model", 2);
  const std::string bytes = testing::read_file(path("model-00002-of-00002.safetensors"));
  write_file(path("model-00002-of-00002.safetensors"), bytes.substr(0, bytes.size() - 5));
  EXPECT_THAT(problem(), HasSubstr("model-00002-of-00002.safetensors"));
}

TEST_F(WeightFilesTest, AnIndexOfAnyNameIsFollowed) {
  for (const char* index :
       {"model.safetensors.index.json", "diffusion_pytorch_model.safetensors.index.fp16.json",
        "diffusion_pytorch_model.fp16.safetensors.index.json", "weights.index.json"}) {
    const WeightFolder other;
    other.write_index(index, {"left.safetensors", "right.safetensors"});
    write_safetensors(other.path("left.safetensors"), other.part(1, 2));
    write_safetensors(other.path("right.safetensors"), other.part(2, 2));
    EXPECT_TRUE(equal_tensors(other.read(), other.all)) << index;
    fs::remove(other.path("right.safetensors"));
    EXPECT_THAT(other.problem(), HasSubstr("right.safetensors")) << index;
  }
}

TEST_F(WeightFilesTest, AnIndexThatForgetsShardsOrMisplacesTensorsLosesNothing) {
  write_shards("model", 2);
  const std::string first = "model-00001-of-00002.safetensors";
  write_index("model.safetensors.index.json", {first});  // all in one, which has three of five
  EXPECT_TRUE(equal_tensors(read(), all));
  fs::remove(path("model-00002-of-00002.safetensors"));
  EXPECT_THAT(problem(), HasSubstr("model-00002-of-00002.safetensors"));
}

TEST_F(WeightFilesTest, ATensorThatNoShardHasIsNamed) {
  write_index("model.safetensors.index.json", {"left.safetensors"});
  write_safetensors(path("left.safetensors"), part(1, 2));
  EXPECT_THAT(problem(), HasSubstr("no tensor \"b\""));
}

TEST_F(WeightFilesTest, ATensorInTwoShardsMustBeTheSameOrPlacedByTheIndex) {
  write_shards("model", 2);
  NamedTensors second = part(2, 2);
  second["a"] = all["a"];
  const fs::path path_2 = path("model-00002-of-00002.safetensors");
  write_safetensors(path_2, second);
  EXPECT_TRUE(equal_tensors(read(), all));
  second["a"] = all["a"] + 1;
  write_safetensors(path_2, second);
  EXPECT_THAT(problem(), HasSubstr("the tensor \"a\""));
  write_index("model.safetensors.index.json",
              {path_2.filename().string(), "model-00001-of-00002.safetensors"});
  EXPECT_TRUE(torch::equal(read().at("a"), second["a"]));
}

TEST_F(WeightFilesTest, FullPrecisionGoesBeforeVariantsAndSafetensorsBeforePickles) {
  write_shards("model", 2);
  write_safetensors(path("model.fp16.safetensors"), {{"x", torch::ones({1})}});
  write_file(path("pytorch_model.bin"), "broken");
  EXPECT_TRUE(equal_tensors(read(), all));
}

TEST_F(WeightFilesTest, WhatIsWholeIsReadInPlaceOfWhatLacksAShard) {
  write_index("model.safetensors.index.json",
              {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"});
  EXPECT_THAT(problem(), HasSubstr("model-00001-of-00002.safetensors"));
  write_safetensors(path("model.fp16.safetensors"), all);
  EXPECT_TRUE(equal_tensors(read(), all));
  EXPECT_THAT(notice(), HasSubstr("\"model.fp16.safetensors\" is read instead"));
}

// diffusers' from_pretrained() looks for the index first, transformers' for the whole file.
TEST_F(WeightFilesTest, BetweenFileAndIndexTheProgramsOwnOrderDecides) {
  for (const std::string stem : {"diffusion_pytorch_model", "model"}) {
    const WeightFolder other;
    other.write_shards(stem, 2);
    other.write_index(stem + ".safetensors.index.json",
                      {stem + "-00001-of-00002.safetensors", stem + "-00002-of-00002.safetensors"});
    write_safetensors(other.path(stem + ".safetensors"), {{"x", torch::ones({1})}});
    EXPECT_EQ(other.read().count("x"), stem == "model" ? 1U : 0U) << stem;
    EXPECT_THAT(other.notice(), HasSubstr("holds the same weights twice")) << stem;
  }
}

TEST_F(WeightFilesTest, FilesThatMayNotBelongTogetherAreNotGuessedAt) {
  write_safetensors(path("left.safetensors"), part(1, 2));
  write_safetensors(path("right.safetensors"), part(2, 2));
  EXPECT_FALSE(has_usual_weights(folder.path()));
  EXPECT_THAT(problem(), HasSubstr("\"left\" and \"right\""));
  write_shards("sdxl", 2);
  write_shards("sdxl", 3);
  EXPECT_THAT(problem(), HasSubstr("two sets of shards"));
}

TEST_F(WeightFilesTest, ASingleFileModelCutIntoShardsOpensByFolderAndByShard) {
  const Checkpoint model = testing::tiny_sdxl();
  all = single_file_of(model).tensors;
  write_shards("model", 3);
  for (const fs::path& source : {folder.path(), path("model-00002-of-00003.safetensors")}) {
    const ModelSource opened = open_model_source(source);
    EXPECT_EQ(opened.layout, "single file in 3 shards");
    for (const auto& [component, tensors] : model.components)
      EXPECT_TRUE(equal_tensors(opened.checkpoint.components.at(component), tensors));
  }
}

TEST_F(WeightFilesTest, MetadataOfAllShardsCount) {
  write_safetensors(path("x-00001-of-00002.safetensors"), part(1, 2), {{"title", "one"}});
  write_safetensors(path("x-00002-of-00002.safetensors"), part(2, 2),
                    {{"title", "two"}, {"license", "MIT"}});
  EXPECT_EQ(open_tensor_file(path("x-00002-of-00002.safetensors")).metadata,
            (Metadata{{"title", "one"}, {"license", "MIT"}}));
}

}  // namespace
}  // namespace fourstep
