#include "distill/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "io/safetensors.h"
#include "support/files.h"
#include "support/golden.h"
#include "support/pictures.h"
#include "support/tiny_model.h"

namespace fourstep {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

/// Any checkpoint, from files. Its native size is neither SDXL's nor that of drawn emoji.
class DistillFromFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::write_tiny_sdxl(path("tiny.safetensors"), [](Checkpoint& checkpoint) {
      checkpoint.metadata["modelspec.resolution"] = "96x96";
    });
    testing::write_two_pictures(path("real"));
    testing::write_file(path("prompts.txt"), "a cat\na fox\n");
    events_.on_notice = [this](const std::string& sentence) { notices_.push_back(sentence); };
  }
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }

  DistillConfig small() const {
    DistillConfig config;
    config.model = path("tiny.safetensors");
    config.out = path("out");
    config.prompts = path("prompts.txt");
    config.data = path("real");
    config.gan_weight = 0.01;
    config.gan_start = 0;
    config.iterations = 2;
    config.batch = 2;
    config.student_rank = config.critic_rank = 2;
    config.sample_every = 0;
    return config;
  }
  Models open(const DistillConfig& config) const {
    return Models(FileSettings{.model = config.model}, {.is_trained = true});
  }
  void run(const DistillConfig& config) {
    Models models = open(config);
    const auto sources = [&](const Events& events) {
      return sources_from_files(models, config, events);
    };
    distill(models, config, sources, false, events_);
  }
  std::string refusal(const DistillConfig& config) {
    return testing::message_of<InvalidRequest>([&] { run(config); });
  }

  testing::TemporaryFolder folder_;
  std::vector<std::string> notices_;
  Events events_;
};

TEST_F(DistillFromFiles, TrainsAtTheModelsNativeSizeAndSaysSo) {
  run(small());
  EXPECT_THAT(notices_,
              Contains("distill: trains at 96x96 px, the native size of tiny.safetensors"));
  // Latents of 12x12 are 6x6 in the middle of a network of two levels: halved once, then seen at once.
  const TensorFile state = open_safetensors(path("out/distill.state.safetensors"));
  EXPECT_EQ(shape_of(state.tensors.at("critic/discriminator/convs.1.weight")),
            (Shape{128, 128, 3, 3}));
  EXPECT_FALSE(state.tensors.count("critic/discriminator/convs.2.weight"));
  const TensorFile latents = open_safetensors(path("out/latents.safetensors"));
  EXPECT_EQ(shape_of(latents.tensors.at("0")), (Shape{4, 12, 12}));
  EXPECT_TRUE(std::filesystem::exists(path("out/dmd2_4step_lora_fp16.safetensors")));
}

TEST_F(DistillFromFiles, AnotherSizeIsTakenAndSaid) {
  DistillConfig config = small();
  config.gan_weight = 0;
  config.data.clear();
  config.resolution = 64;
  Models models = open(config);
  EXPECT_EQ(sources_from_files(models, config, events_).side, 64);
  EXPECT_THAT(notices_, Contains(HasSubstr("trains at 64x64 px (--resolution)")));
  config.resolution = 72;
  EXPECT_THAT(
      testing::message_of<InvalidRequest>([&] { sources_from_files(models, config, events_); }),
      HasSubstr("no multiple of 16"));
}

TEST_F(DistillFromFiles, PromptsAreLinesOfTheFile) {
  DistillConfig config = small();
  config.gan_weight = 0;
  config.batch = 20;
  Models models = open(config);
  const DistillSources sources = sources_from_files(models, config, events_);
  const std::vector<std::string> batch = sources.prompts(3);
  EXPECT_EQ(batch.size(), 20u);
  EXPECT_THAT(batch, Contains("a cat"));
  EXPECT_THAT(batch, Contains("a fox"));
  EXPECT_EQ(batch, sources.prompts(3));
  EXPECT_NE(batch, sources.prompts(4));
  EXPECT_EQ(sources.examples(3), (std::vector<std::string>{"a cat", "a fox", "a cat"}));
}

TEST_F(DistillFromFiles, SaysWhatIsMissing) {
  DistillConfig config = small();
  config.prompts.clear();
  EXPECT_THAT(refusal(config), HasSubstr("--prompts"));
  config = small();
  config.data.clear();
  EXPECT_THAT(refusal(config), HasSubstr("--real-latents"));
  config.gan_weight = 0;
  run(config);
  config.prompts = path("nowhere.txt");
  config.out = path("other");
  EXPECT_THAT(testing::message_of<Error>([&] { run(config); }), HasSubstr("nowhere.txt"));
}

TEST_F(DistillFromFiles, LatentsOfAFileComeWithTheirCaptions) {
  const std::string file = path("latents.safetensors");
  const Tensor latents = torch::arange(3).view({3, 1, 1, 1}).expand({3, 4, 2, 2}).to(torch::kHalf);
  write_safetensors(file, {{"latents", latents.contiguous()}},
                    {{"captions", R"(["zero", "one", "two"])"}});
  const RealBatch batch = read_latent_rows(file, 16).batch(1, 0, 9);
  const std::vector<std::string> names{"zero", "one", "two"};
  for (int64_t i = 0; i < 9; ++i) {
    const auto row = batch.latents[i][0][0][0].item<float>();
    EXPECT_EQ(batch.captions[static_cast<size_t>(i)], names[static_cast<size_t>(row)]);
  }
  const auto message = [&](int64_t side) {
    return testing::message_of<Error>([&] { read_latent_rows(file, side); });
  };
  EXPECT_THAT(message(32), HasSubstr("32 px"));
  write_safetensors(file, {{"latents", latents.contiguous()}}, {{"captions", R"(["zero"])"}});
  EXPECT_THAT(message(16), HasSubstr("JSON list of 3 texts"));
  write_safetensors(file, {{"latents", latents.contiguous()}}, {});
  EXPECT_THAT(message(16), HasSubstr("captions"));
  write_safetensors(file, {{"other", latents.contiguous()}}, {});
  EXPECT_THAT(message(16), HasSubstr("no tensor \"latents\""));
}

}  // namespace
}  // namespace fourstep
