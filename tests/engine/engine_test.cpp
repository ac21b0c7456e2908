#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "base/error.h"
#include "support/tiny_run.h"

namespace fourstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class EngineTest : public testing::TinyRun {
 protected:
  void SetUp() override {
    TinyRun::SetUp();
    testing::write_tiny_lora(lora());
  }

  Request request() const {
    Request r = TinyRun::request();
    r.networks.precision = r.networks.vae_precision = Precision::kFp32;
    return r;
  }

  Request with_lora(double weight) const {
    Request r = request();
    r.files.loras = {{lora(), weight, weight}};
    return r;
  }

  /// Callbacks that keep the pixels, and count by stage what began: "load unet", "load
  /// text_encoder", "sample".
  Callbacks watching() {
    Callbacks callbacks;
    callbacks.on_image = [this](const PlannedImages&, const GeneratedImage& made) {
      images_.push_back(made.image);
    };
    callbacks.events.on_progress = [this](const Progress& p) {
      if (p.step == 0) ++begun_[fmt::format("{} {}", to_string(p.stage), p.values)];
    };
    return callbacks;
  }

  Tensor image_of(Engine& engine, const Request& r) {
    engine.run(r, watching());
    return images_.back();
  }

  std::vector<Tensor> images_;
  std::map<std::string, int> begun_;
};

// What a server does: one engine, requests one after another, each with its own report.
TEST_F(EngineTest, AServerNeedsOneEngineAndAFunctionForEachRequest) {
  Engine engine({.device = "cpu", .max_model_bytes = uint64_t{8} << 30});
  std::vector<Tensor> pictures;
  Callbacks callbacks;
  bool is_cancelled = false;
  callbacks.events.is_cancelled = [&] { return is_cancelled; };
  callbacks.on_image = [&](const PlannedImages& planned, const GeneratedImage& made) {
    EXPECT_THAT(planned.text(made.index).at("parameters"), HasSubstr("Steps: 3"));
    pictures.push_back(made.image);
  };
  const Report first = engine.run(request(), callbacks);
  EXPECT_EQ(first.precision, "fp32");
  Request other = with_lora(0.7);
  other.prompt.text = "a fox";
  const Report second = engine.run(other, callbacks);
  EXPECT_THAT(second.lora_lines, ElementsAre("lora.safetensors: 4/4 modules"));
  callbacks.events.on_progress = [&](const Progress& p) { is_cancelled = p.sigma > 0; };
  EXPECT_THROW(engine.run(with_lora(-0.5), callbacks), Cancelled);
  callbacks.events.on_progress = nullptr;
  is_cancelled = false;
  engine.run(request(), callbacks);
  ASSERT_EQ(pictures.size(), 3u);
  EXPECT_FALSE(torch::equal(pictures[0], pictures[1]));
  EXPECT_TRUE(torch::equal(pictures[0], pictures[2]));
}

TEST_F(EngineTest, AnExceptionInTheMiddleOfFusingLeavesNoHalfFusedWeights) {
  Engine fresh, engine;
  const Tensor whole = image_of(fresh, with_lora(0.7));
  image_of(engine, request());             // the UNet is in memory, plain
  for (const int64_t after : {1, 2, 3}) {  // of four weights
    int64_t fused = 0;
    Callbacks callbacks;
    callbacks.events.on_progress = [&](const Progress& p) {
      if (p.stage == Stage::kFuse && ++fused > after) throw std::bad_alloc();
    };
    EXPECT_THROW(engine.run(with_lora(0.7), callbacks), std::bad_alloc);
    EXPECT_TRUE(torch::equal(image_of(engine, with_lora(0.7)), whole)) << "the same LoRA again";
    image_of(engine, request());
  }
}

TEST_F(EngineTest, AModelIsLoadedOnceAndItsPromptsAreEncodedOnce) {
  Engine engine;
  const Tensor first = image_of(engine, request());
  EXPECT_EQ(begun_["load unet"], 1);
  EXPECT_EQ(begun_["load text_encoder"], 1);
  Request other_seed = request();
  other_seed.picture.seed = 8;
  image_of(engine, other_seed);
  EXPECT_TRUE(torch::equal(image_of(engine, request()), first));
  EXPECT_EQ(begun_["load unet"], 1);
  EXPECT_EQ(begun_["load text_encoder"], 1) << "the text is known";
  Request other_text = request();
  other_text.prompt.text = "a fox";
  image_of(engine, other_text);
  EXPECT_EQ(begun_["load text_encoder"], 2) << "they went before the UNet ran";
}

TEST_F(EngineTest, TextEncodersStayWhereThereIsMemoryForThem) {
  Engine engine({.keep_text_encoders = true});
  Request other_text = request();
  other_text.prompt.text = "a fox";
  image_of(engine, request());
  image_of(engine, other_text);
  EXPECT_EQ(begun_["load text_encoder"], 1);
}

TEST_F(EngineTest, ModelsUsedLeastRecentlyGoFirstWhereThereIsNoRoom) {
  const auto model_of = [&](const char* name) {
    testing::write_tiny_sdxl(path(name));
    Request r = request();
    r.files.model = path(name);
    return r;
  };
  const Request a = model_of("a.safetensors"), b = model_of("b.safetensors"),
                c = model_of("c.safetensors");
  Models one(a.files, {});
  one.unet({});
  one.image_codec({});
  Engine engine({.max_model_bytes = one.whole_bytes() + one.loaded_bytes() * 3 / 2});
  for (const Request* r : {&a, &b, &a}) image_of(engine, *r);
  EXPECT_EQ(begun_["load unet"], 2) << "both fit";
  image_of(engine, c);  // b goes
  image_of(engine, a);
  EXPECT_EQ(begun_["load unet"], 3);
  image_of(engine, b);
  EXPECT_EQ(begun_["load unet"], 4);
  Engine small;
  for (const Request* r : {&a, &b, &a}) image_of(small, *r);
  EXPECT_EQ(begun_["load unet"], 7) << "one at a time";
}

TEST_F(EngineTest, MoreRequestsThanArePreparedAtOnceAreAllMade) {
  std::ofstream(folder_.path() / "trees.txt") << "cat\nfox\n";
  Request r = request();
  r.prompt.text = "a __trees__";
  r.prompt.wildcards = folder_.path().string();
  r.picture.images = 35;
  r.sampling.steps = 1;
  Engine engine;
  std::set<std::string> prompts;
  Callbacks callbacks = watching();
  callbacks.on_planned = [&](const PlannedImages& planned) {
    prompts.insert(planned.request.prompt.text);
  };
  engine.run(r, callbacks);
  EXPECT_EQ(images_.size(), 35u);
  EXPECT_THAT(prompts, ElementsAre("a cat", "a fox"));
  EXPECT_EQ(begun_["load text_encoder"], 1) << "later blocks know the texts";
}

TEST_F(EngineTest, TheReportHasWhatWasSaidAndSpent) {
  Request r = with_lora(0.5);
  r.prompt.text = "a cat <hypernet:x:1>";
  r.prompt.negative = "fox";
  std::vector<std::string> heard;
  Callbacks callbacks;
  callbacks.events.on_notice = [&](const std::string& sentence) { heard.push_back(sentence); };
  const std::vector<Request> twice = {r, r};
  const Report report = Engine().run(twice, callbacks);
  EXPECT_THAT(report.notices, ElementsAre("<hypernet:...> in the prompt has no effect"));
  EXPECT_THAT(report.lora_lines, ElementsAre("lora.safetensors: 4/4 modules"));
  std::vector<std::string> codes;
  for (const LintFinding& finding : report.findings) codes.push_back(finding.code);
  EXPECT_THAT(codes, ::testing::Contains("idle-negative-prompt"));
  Engine engine;
  engine.run(twice, {});
  EXPECT_EQ(engine.run(twice, {}).lora_lines, report.lora_lines) << "though nothing is fused";
  EXPECT_EQ(heard.size(), report.notices.size() + report.lora_lines.size() + codes.size())
      << "each is heard once";
  double sum = 0;
  for (const auto& [stage, seconds] : report.timings) sum += seconds;
  EXPECT_NEAR(sum, report.seconds, 1e-6);
  for (const char* stage : {"load", "encode", "sample", "decode"}) {
    EXPECT_GT(report.timings.at(stage), 0) << stage;
  }
  EXPECT_GT(report.peak_memory_bytes, uint64_t{10} << 20);
  EXPECT_EQ(report.device, "cpu");
}

TEST_F(EngineTest, WhatIsWrongIsSaidBeforeAnythingIsLoaded) {
  Engine engine;
  Request r = request();
  r.files.model = path("nowhere.safetensors");
  EXPECT_THROW(engine.run(r), Error);
  r = request();
  r.sampling.sampler = "eluer";
  EXPECT_THROW(engine.run(r, watching()), InvalidRequest);
  EXPECT_EQ(begun_.size(), 0u);
  EXPECT_NO_THROW(engine.run(request()));
}

}  // namespace
}  // namespace fourstep
