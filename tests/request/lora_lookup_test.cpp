#include "request/lora_lookup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "support/golden.h"

namespace fourstep {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class LoraLookup : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_.path() / "loras/style");
    std::ofstream(folder_.path() / "loras/style/Ink.safetensors") << "x";
    std::ofstream(folder_.path() / "dmd2.safetensors") << "x";
  }

  std::string path(const char* name) const { return (folder_.path() / name).string(); }

  Request request(const std::string& prompt) const {
    Request r;
    r.files.model = path("model.safetensors");
    r.files.lora_dir = {path("loras")};
    r.prompt.text = prompt;
    return r;
  }

  std::vector<LoraUse> loras(const Request& r) {
    notices_.clear();
    Events events;
    events.on_notice = [&](const std::string& sentence) { notices_.push_back(sentence); };
    return loras_of(r, events);
  }

  testing::TemporaryFolder folder_;
  std::vector<std::string> notices_;
};

TEST_F(LoraLookup, FlagsAndTagsNameFilesInFoldersAndBesideTheModel) {
  Request r = request("a cat <lora:ink:0.3:0.8>");
  r.files.loras = {{"DMD2", 0.7, 0.7}};
  EXPECT_THAT(loras(r), ElementsAre(LoraUse{path("dmd2.safetensors"), 0.7, 0.7},
                                    LoraUse{path("loras/style/Ink.safetensors"), 0.8, 0.3}));
  EXPECT_TRUE(notices_.empty());
  EXPECT_EQ(with_lora_files(r).files.loras[0].file, path("dmd2.safetensors"));
  EXPECT_EQ(with_lora_files(with_lora_files(r)), with_lora_files(r));
}

TEST_F(LoraLookup, TagsMayHaveWeightsByStep) {
  const StepWeights rising = step_weights_from_text("", "0.3@0,1@2");
  EXPECT_THAT(loras(request("a cat <lora:ink:0.3@0,1@2>")),
              ElementsAre(LoraUse{path("loras/style/Ink.safetensors"), rising, 0.3}));
}

TEST_F(LoraLookup, ATagIsNeverAPath) {
  const std::string file = path("dmd2.safetensors");
  EXPECT_EQ(loras(request("<lora:dmd2:1>")).size(), 1u);
  Request r = request("<lora:" + file + ":1>");
  EXPECT_THROW(loras(r), InvalidRequest);
  r = request("a cat");
  r.files.loras = {{file}};
  EXPECT_EQ(loras(r).at(0).file, file);
  r.files.loras = {{std::string(5000, 'x')}};
  EXPECT_THROW(loras(r), InvalidRequest);
}

TEST_F(LoraLookup, AnUnknownNameIsOneSentenceWithTheNearest) {
  try {
    loras(request("<lora:inc:1>"));
    FAIL() << "no error";
  } catch (const InvalidRequest& error) {
    EXPECT_THAT(error.what(), HasSubstr("lora \"inc\": no such file"));
    EXPECT_THAT(error.what(), HasSubstr("nearest: style/Ink"));
  }
}

TEST_F(LoraLookup, WhatHasNoEffectIsSaid) {
  EXPECT_EQ(loras(request("<lora:ink:1:lbw=ALL> <hypernet:x:1>")).size(), 1u);
  EXPECT_EQ(notices_.size(), 2u);
  Request r = request("<lora:ink:1>");
  r.sampling.dialect = Dialect::kComfy;
  EXPECT_TRUE(loras(r).empty());
  EXPECT_EQ(notices_.size(), 1u);
}

TEST_F(LoraLookup, AMissingFolderIsNamed) {
  Request r = request("<lora:ink:1>");
  r.files.lora_dir = {path("nowhere")};
  EXPECT_THROW(loras(r), InvalidRequest);
}

}  // namespace
}  // namespace fourstep
