#include "pipeline/textual_inversions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
    r.embedding_dir = {path("embeddings")};
    return r;
  }
};

TEST_F(Inversions, ThePlanNamesTheFilesThatItsTextsUse) {
  Models models(request(), {});
  EncodingCache cache;
  const auto used = [&](Request r) {
    r = resolve_defaults(r, models.traits(), {});
    return encode_prompts(models, r, {}, cache).inversions;
  };
  Request r = request();
  EXPECT_THAT(used(r), IsEmpty());
  r.prompt = "a [cat:blue:1] fox";
  r.negative_prompt = "Red, blue";
  EXPECT_THAT(used(r), ElementsAre(file("blue"))) << "CFG 1 needs no negative prompt";
  r.cfg_scale = 3;
  EXPECT_THAT(used(r), ElementsAre(file("sub/red"), file("blue")));
  EXPECT_THAT(used(r), ElementsAre(file("sub/red"), file("blue"))) << "of encodings in the cache";
  r.dialect = "comfyui";
  r.prompt = "a embedding:sub/red fox";
  r.negative_prompt = "red";
  EXPECT_THAT(used(r), ElementsAre(file("sub/red")));
  r.embedding_dir.clear();
  EXPECT_THAT(used(r), IsEmpty());
}

}  // namespace
}  // namespace fourstep
