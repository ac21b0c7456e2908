#include "pipeline/textual_inversions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "io/safetensors.h"
#include "support/files.h"
#include "support/tiny_run.h"

namespace fourstep {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Inversions : public testing::TinyRun {
 protected:
  void SetUp() override {
    TinyRun::SetUp();
    std::filesystem::create_directories(path("embeddings/sub"));
    for (const char* name : {"blue", "sub/red", "unused"})
      testing::write_tiny_inversion(file(name));
  }

  std::filesystem::path file(const std::string& name) const {
    return path("embeddings") + "/" + name + ".safetensors";
  }

  Request request() const {
    Request r = TinyRun::request();
    r.prompt.embedding_dir = {path("embeddings")};
    return r;
  }
};

TEST_F(Inversions, ThePlanNamesTheFilesThatItsTextsUse) {
  Models models(request().files, {});
  EncodingCache cache;
  const auto used = [&](const Request& r) {
    return encode_prompts(models, resolve(r, models.traits()), {}, cache).inversions;
  };
  Request r = request();
  EXPECT_THAT(used(r), IsEmpty());
  r.prompt.text = "a [cat:blue:1] fox";
  r.prompt.negative = "Red, blue";
  EXPECT_THAT(used(r), ElementsAre(file("blue"))) << "CFG 1 needs no negative prompt";
  r.sampling.cfg_scale = 3;
  EXPECT_THAT(used(r), ElementsAre(file("sub/red"), file("blue")));
  EXPECT_THAT(used(r), ElementsAre(file("sub/red"), file("blue"))) << "of encodings in the cache";
  r.sampling.dialect = Dialect::kComfy;
  r.prompt.text = "a embedding:sub/red fox";
  r.prompt.negative = "red";
  EXPECT_THAT(used(r), ElementsAre(file("sub/red")));
  r.prompt.embedding_dir.clear();
  EXPECT_THAT(used(r), IsEmpty());
}

/// A LoRA with an embedding "mytok", and the same embedding as a file of its own.
class Bundles : public testing::TinyRun {
 protected:
  void SetUp() override {
    TinyRun::SetUp();
    testing::write_tiny_lora(lora());
    std::filesystem::create_directories(path("embeddings"));
    testing::write_tiny_inversion(path("embeddings/mytok.safetensors"));
    write_bundle("bundle.safetensors", "mytok",
                 open_safetensors(path("embeddings/mytok.safetensors")).tensors);
  }

  void write_bundle(const char* file, const std::string& name, const NamedTensors& parts) const {
    NamedTensors tensors = open_safetensors(lora()).tensors;
    tensors.merge(bundled_tensors({{name, parts}}));
    write_safetensors(path(file), tensors);
  }

  /// With a LoRA of this name, the embeddings' folder, and what was noticed.
  Tensor picture(const char* file, bool has_folder, Request r) {
    if (file) r.files.loras = {{path(file), {}, 0}};
    if (has_folder) r.prompt.embedding_dir = {path("embeddings")};
    notices_.clear();
    Events events;
    events.on_notice = [&](const std::string& sentence) { notices_.push_back(sentence); };
    return run(r, events).at(0).image;
  }
  Tensor picture(const char* file, bool has_folder) {
    Request r = request();
    r.prompt.text = "a mytok cat";
    return picture(file, has_folder, r);
  }

  std::vector<std::string> notices_;
};

TEST_F(Bundles, ThePictureIsThatOfTheSameEmbeddingInAFolderToTheBit) {
  const Tensor bundled = picture("bundle.safetensors", false);
  EXPECT_TRUE(torch::equal(bundled, picture("lora.safetensors", true)));
  EXPECT_FALSE(torch::equal(bundled, picture("lora.safetensors", false)));
  EXPECT_FALSE(torch::equal(picture(nullptr, false), picture("lora.safetensors", false)));
  Request r = request();
  r.prompt.text = "a embedding:mytok cat";
  r.sampling.dialect = Dialect::kComfy;
  EXPECT_TRUE(
      torch::equal(picture("bundle.safetensors", false, r), picture("lora.safetensors", true, r)));
}

TEST_F(Bundles, NamesMayHaveDotsAndBlanks) {
  const NamedTensors parts = open_safetensors(path("embeddings/mytok.safetensors")).tensors;
  write_bundle("blank.safetensors", "my tok v1.5", parts);
  Request r = request();
  r.prompt.text = "a my tok v1.5 cat";
  const Tensor words = picture("lora.safetensors", false, r);
  EXPECT_FALSE(torch::equal(picture("blank.safetensors", false, r), words));
}

TEST_F(Bundles, AFolderGoesBeforeALoraAndTheFirstLoraBeforeTheSecond) {
  NamedTensors other = open_safetensors(path("embeddings/mytok.safetensors")).tensors;
  for (auto& [part, tensor] : other) tensor = tensor * 3;
  write_bundle("other.safetensors", "MyTok", other);
  const Tensor folder = picture("lora.safetensors", true);
  EXPECT_TRUE(torch::equal(picture("other.safetensors", true), folder));
  EXPECT_THAT(notices_, ::testing::Contains(::testing::HasSubstr(
                            "\"MyTok\": that of mytok.safetensors of --embedding-dir is used")));
  Request r = request();
  r.prompt.text = "a mytok cat";
  r.files.loras = {{path("bundle.safetensors"), {}, 0}, {path("other.safetensors"), 0.0, 0}};
  const Tensor first = picture(nullptr, false, r);
  EXPECT_TRUE(torch::equal(first, folder));
  EXPECT_THAT(notices_, ::testing::Contains(::testing::HasSubstr("bundled in other.safetensors")));
}

TEST_F(Bundles, AtWeightZeroTheEmbeddingIsThereAndWithoutTheLoraTheNameIsAWord) {
  Request r = request();
  r.prompt.text = "a mytok cat";
  r.files.loras = {{path("bundle.safetensors"), 0.0, 0}};
  const Tensor off = picture(nullptr, false, r);
  r.files.loras.clear();
  EXPECT_TRUE(torch::equal(off, picture(nullptr, true, r)));
  EXPECT_FALSE(torch::equal(off, picture(nullptr, false, r)));
}

TEST_F(Inversions, RowsBehindADimensionOfOneAreVectors) {
  const NamedTensors parts = open_safetensors(file("blue")).tensors;
  NamedTensors deep;
  for (const auto& [part, tensor] : parts) deep[part] = tensor.unsqueeze(0);
  write_safetensors(file("deep"), deep);
  write_safetensors(file("many"), {{"clip_l", torch::ones({2, 2, 64})}});
  const InversionFiles files = open_inversions({path("embeddings")}, {64, 128});
  const auto vectors = [&](const std::string& name, size_t encoder) {
    const auto at = std::find(files.table.names.begin(), files.table.names.end(), name);
    return files.table.vectors(static_cast<size_t>(at - files.table.names.begin()), encoder);
  };
  for (const size_t encoder : {size_t{0}, size_t{1}})
    EXPECT_TRUE(torch::equal(vectors("deep", encoder), vectors("blue", encoder)));
  EXPECT_THROW(vectors("many", 0), Error);
}

TEST_F(Inversions, VectorsOfAnotherModelAreNamed) {
  const std::map<int64_t, std::string> widths = {
      {768, "SD 1.5 (CLIP-L, 768)"}, {1024, "SD 2"}, {1280, "second text encoder of SDXL alone"}};
  for (const auto& [width, model] : widths) {
    write_safetensors(file("other"), {{"emb_params", torch::ones({1, width})}});
    const InversionFiles files = open_inversions({path("embeddings")}, {64, 128});
    const auto at = std::find(files.table.names.begin(), files.table.names.end(), "other");
    const auto ask = [&] {
      files.table.vectors(static_cast<size_t>(at - files.table.names.begin()), 0);
    };
    EXPECT_THAT(testing::message_of<Error>(ask), ::testing::HasSubstr(model));
  }
}
}  // namespace
}  // namespace fourstep
