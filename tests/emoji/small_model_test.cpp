#include "emoji/small_model.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "emoji/vae_training.h"
#include "support/files.h"
#include "support/golden.h"
#include "train/optimizer.h"
#include "train/random.h"

namespace fourstep {
namespace {

TrainConfig small_model_config() {
  TrainConfig config;
  config.vae_channels = {32, 32};
  config.unet_channels = {32, 32};
  config.unet_depths = {0, 1};
  config.text_widths = {64, 64};
  config.text_layers = 2;
  config.scenes.image_size = 16;
  return config;
}

/// A model with the vocabulary of three words, as a file.
std::filesystem::path write_tiny(const testing::TemporaryFolder& folder) {
  const TrainConfig config = small_model_config();
  SmallModel model = make_small_model(config, {"red", "fox", "snow"});
  Vae vae = make_vae(config);
  write_small_model(folder.path() / "model.safetensors", model, model.parameters(), vae, {});
  return folder.path() / "model.safetensors";
}

TEST(LoadSmallModel, WeightsAndVocabularyAreThoseOfTheFile) {
  const testing::TemporaryFolder folder;
  const Checkpoint file = open_checkpoint(write_tiny(folder));
  TrainConfig config = small_model_config();
  config.seed = 5;  // other first weights, which must not stay
  SmallModel loaded = load_small_model(config, file);
  SmallModel written = make_small_model(small_model_config(), {"red", "fox", "snow"});
  EXPECT_EQ(loaded.merges_text, written.merges_text);
  for (const auto& [name, tensor] : written.parameters()) {
    EXPECT_TRUE(
        torch::equal(loaded.parameters().at(name), tensor.to(torch::kFloat16).to(torch::kFloat32)))
        << name;
  }
}

TEST(LoadSmallModel, OtherWidthsAreRefusedWithTheFilesName) {
  const testing::TemporaryFolder folder;
  const Checkpoint file = open_checkpoint(write_tiny(folder));
  TrainConfig config = small_model_config();
  config.unet_channels = {32, 64};
  try {
    load_small_model(config, file);
    FAIL() << "weights of other shapes were taken";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("model.safetensors"), std::string::npos)
        << error.what();
  }
}

TEST(LoadSmallModel, AModelWithoutAVocabularyOfItsOwnIsRefused) {
  Checkpoint checkpoint;
  checkpoint.path = "sdxl.safetensors";
  EXPECT_THROW(load_small_model(small_model_config(), checkpoint), Error);
}

TrainConfig tiny_config(const std::filesystem::path& folder) {
  TrainConfig config;
  config.out = folder.string();
  config.unet_channels = {32, 32};
  config.unet_depths = {0, 1};
  config.text_widths = {64, 64};
  config.text_layers = 2;
  config.iterations = 4;
  config.batch = 2;
  config.warmup = 2;
  config.cfg_dropout = 0.5;
  config.save_every = 2;
  return config;
}

struct Killed {};

/// The weights after training with random latents, stopped before iteration `kill_at`.
struct TinyTraining {
  explicit TinyTraining(const TrainConfig& config)
      : config(config), model(make_small_model(config, {"cat", "dog"})) {
    average = clone_tensors(model.parameters());
  }

  void train(bool is_resumed, int64_t kill_at = -1) {
    const auto batch = [&](int64_t i) -> LatentBatch {
      if (i == kill_at) throw Killed();
      return {draw_normal({9, "latents", i}, {2, 4, 4, 4}), {"a cat", "the dog"}};
    };
    train_diffusion({model, average, batch}, config, is_resumed, {});
  }

  TrainConfig config;
  SmallModel model;
  NamedTensors average;
};

TEST(TrainDiffusion, AKilledAndResumedRunEndsWithTheSameBytes) {
  const testing::TemporaryFolder whole, broken;
  TinyTraining uninterrupted(tiny_config(whole.path()));
  const NamedTensors before = clone_tensors(uninterrupted.model.parameters());
  uninterrupted.train(false);
  TinyTraining killed(tiny_config(broken.path()));
  EXPECT_THROW(killed.train(false, 3), Killed);
  TinyTraining resumed(tiny_config(broken.path()));
  resumed.train(true);
  for (const char* file : {"diffusion.state.safetensors", "diffusion.csv"}) {
    EXPECT_EQ(testing::read_file(broken.path() / file), testing::read_file(whole.path() / file))
        << file;
  }
  for (const auto& [name, tensor] : uninterrupted.model.parameters()) {
    EXPECT_TRUE(torch::equal(resumed.model.parameters().at(name), tensor)) << name;
    EXPECT_TRUE(torch::equal(resumed.average.at(name), uninterrupted.average.at(name))) << name;
    EXPECT_FALSE(tensor.requires_grad()) << name;
  }
  const std::string output = "unet/conv_out.weight";
  EXPECT_FALSE(torch::equal(uninterrupted.model.parameters().at(output), before.at(output)));
}

}  // namespace
}  // namespace fourstep
