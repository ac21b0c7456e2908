#include "train/state_file.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "io/safetensors.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using testing::message_of;

TEST(TrainingState, ComesBackAsSaved) {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "run.state.safetensors";
  const NamedTensors tensors = {{"model/w", torch::randn({3, 2})}, {"step", torch::tensor(4.f)}};
  save_training_state(path, {17, tensors, {{"settings", "lr 1"}}});
  const TrainingState state = load_training_state(path);
  EXPECT_EQ(state.iteration, 17);
  EXPECT_EQ(state.metadata, (std::map<std::string, std::string>{{"settings", "lr 1"}}));
  ASSERT_EQ(state.tensors.size(), 2u);
  for (const auto& [name, tensor] : tensors)
    EXPECT_TRUE(torch::equal(state.tensors.at(name), tensor));
}

TEST(TrainingState, ANewOneReplacesTheOldWhoseViewsStay) {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "run.state.safetensors";
  save_training_state(path, {1, {{"w", torch::ones({4})}}, {}});
  const TrainingState old = load_training_state(path);
  save_training_state(path, {2, {{"w", torch::zeros({4})}}, {}});
  EXPECT_EQ(load_training_state(path).iteration, 2);
  EXPECT_TRUE(torch::equal(old.tensors.at("w"), torch::ones({4})));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1)
      << "no temporary file stays";
}

TEST(TrainingState, OtherTensorFilesAreRefusedByName) {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "lora.safetensors";
  for (const auto& metadata :
       std::vector<std::map<std::string, std::string>>{{},
                                                       {{"iteration", ""}},
                                                       {{"iteration", "ten"}},
                                                       {{"iteration", "10 "}},
                                                       {{"iteration", "1e3"}}}) {
    write_safetensors(path, {{"w", torch::zeros({1})}}, metadata);
    EXPECT_EQ(
        message_of<Error>([&] { load_training_state(path); }),
        fmt::format("\"{}\" is no training state: its metadata has no iteration", path.string()));
  }
}

TEST(TrainingState, ABrokenFileIsAnErrorThatNamesIt) {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "run.state.safetensors";
  save_training_state(path, {3, {{"w", torch::ones({100})}}, {}});
  const std::string whole = testing::read_file(path);
  for (const size_t length : {size_t{0}, size_t{5}, size_t{60}, whole.size() - 1}) {
    testing::write_file(path, whole.substr(0, length));
    const std::string message = message_of<Error>([&] { load_training_state(path); });
    EXPECT_NE(message.find(path.string()), std::string::npos) << length << ": " << message;
  }
}

TEST(Prefixes, GroupsOfTensorsComeApartAgain) {
  const NamedTensors model = {{"a", torch::ones({1})}, {"b/c", torch::ones({2})}};
  NamedTensors all = {{"mode", torch::zeros({1})}, {"model2/a", torch::zeros({1})}};
  add_prefixed(all, "model", model);
  EXPECT_EQ(all.size(), 4u);
  const NamedTensors taken = take_prefixed(all, "model");
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_TRUE(taken.at("a").is_same(model.at("a")));
  EXPECT_TRUE(taken.at("b/c").is_same(model.at("b/c")));
  EXPECT_TRUE(take_prefixed(all, "mod").empty());
}

}  // namespace
}  // namespace fourstep
