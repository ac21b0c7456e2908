#include "emoji/small_model.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "emoji/vae_training.h"
#include "support/golden.h"

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

}  // namespace
}  // namespace fourstep
