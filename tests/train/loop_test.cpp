#include "train/loop.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "io/safetensors.h"
#include "report/csv_log.h"
#include "support/files.h"
#include "support/golden.h"
#include "train/optimizer.h"
#include "train/random.h"

namespace fourstep {
namespace {

using testing::message_of;
using testing::read_file;

/// Numbers that are trained towards random targets: what an iteration does depends on its number and the state.
struct Training {
  Tensor parameter = torch::zeros({7}).requires_grad_(true);
  AdamW optimizer{{{"p", parameter}}, {}};
  std::function<void(int64_t iteration)> before_step = [](int64_t) {};

  Loop loop() {
    return {[this](int64_t i) { return step(i); },
            [this] {
              NamedTensors all = {{"p", parameter}};
              add_prefixed(all, "optimizer", optimizer.state());
              return all;
            },
            [this](const NamedTensors& state) {
              copy_tensors({{"p", state.at("p")}}, {{"p", parameter}}, "parameter");
              optimizer.load(take_prefixed(state, "optimizer"));
            }};
  }

  LossRow step(int64_t i) {
    before_step(i);
    const Tensor loss = (parameter - draw_normal({1, "target", i}, {7})).square().mean();
    loss.backward();
    optimizer.step(0.1);
    const std::optional<double> odd = i % 2 ? std::optional<double>(i) : std::nullopt;
    return {{"loss", loss.item<double>()}, {"odd", odd}};
  }
};

LoopOptions options_in(const std::filesystem::path& folder, bool is_resumed = false) {
  return {.folder = folder,
          .name = "toy",
          .iterations = 11,
          .save_every = 3,
          .is_resumed = is_resumed,
          .settings = {{"lr", "0.1"}}};
}

struct LoopKilled {};

TEST(RunLoop, AKilledAndResumedRunEndsWithTheSameBytes) {
  const testing::TemporaryFolder whole, broken;
  run_loop(options_in(whole.path()), Training().loop(), {});

  Training killed;
  killed.before_step = [](int64_t i) {
    if (i == 8) throw LoopKilled();
  };
  EXPECT_THROW(run_loop(options_in(broken.path()), killed.loop(), {}), LoopKilled);
  EXPECT_EQ(load_training_state(broken.path() / "toy.state.safetensors").iteration, 6);
  Training resumed;
  std::vector<int64_t> made;
  resumed.before_step = [&](int64_t i) { made.push_back(i); };
  run_loop(options_in(broken.path(), true), resumed.loop(), {});
  EXPECT_EQ(made, (std::vector<int64_t>{6, 7, 8, 9, 10}));
  for (const char* file : {"toy.state.safetensors", "toy.csv"}) {
    EXPECT_EQ(read_file(broken.path() / file), read_file(whole.path() / file)) << file;
  }
}

TEST(RunLoop, AKillBeforeTheFirstStateStartsAnew) {
  const testing::TemporaryFolder whole, broken;
  run_loop(options_in(whole.path()), Training().loop(), {});
  Training killed;
  killed.before_step = [](int64_t i) {
    if (i == 2) throw LoopKilled();
  };
  EXPECT_THROW(run_loop(options_in(broken.path()), killed.loop(), {}), LoopKilled);
  run_loop(options_in(broken.path(), true), Training().loop(), {});
  EXPECT_EQ(read_file(broken.path() / "toy.csv"), read_file(whole.path() / "toy.csv"));
}

TEST(RunLoop, TheUsersStopKeepsEveryIteration) {
  const testing::TemporaryFolder folder;
  int64_t done = 0;
  Events events;
  events.on_progress = [&](const Progress& progress) { done = progress.step; };
  events.is_cancelled = [&] { return done == 4; };
  Training run;
  EXPECT_THROW(run_loop(options_in(folder.path()), run.loop(), events), Cancelled);
  const TrainingState state = load_training_state(folder.path() / "toy.state.safetensors");
  EXPECT_EQ(state.iteration, 5) << "asked after the fourth was reported, seen after the fifth";
  EXPECT_TRUE(torch::equal(state.tensors.at("p"), run.parameter));
}

TEST(RunLoop, NoNumberStopsAndNamesIterationAndFile) {
  const testing::TemporaryFolder folder;
  for (const double value : {std::nan(""), -std::numeric_limits<double>::infinity()}) {
    std::filesystem::remove(folder.path() / "toy.state.safetensors");
    Training run;
    Loop loop = run.loop();
    loop.step = [&](int64_t i) -> LossRow {
      return {{"loss", i == 4 ? value : run.step(i).front().second}};
    };
    const std::string message =
        message_of<Error>([&] { run_loop(options_in(folder.path()), loop, {}); });
    EXPECT_EQ(message,
              fmt::format(
                  "toy: loss became {} in iteration 4; the last good state is that after iteration "
                  "3 in \"{}\"; try a lower learning rate",
                  value, (folder.path() / "toy.state.safetensors").string()));
    EXPECT_EQ(load_training_state(folder.path() / "toy.state.safetensors").iteration, 3);
  }
}

TEST(RunLoop, NoNumberBeforeTheFirstStateNamesNone) {
  const testing::TemporaryFolder folder;
  Training run;
  Loop loop = run.loop();
  loop.step = [](int64_t) -> LossRow { return {{"loss", std::nan("")}}; };
  EXPECT_EQ(message_of<Error>([&] { run_loop(options_in(folder.path()), loop, {}); }),
            "toy: loss became nan in iteration 0; no state was saved before; try a lower learning "
            "rate");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "toy.state.safetensors"));
}

TEST(RunLoop, AnEarlierRunIsNeitherOverwrittenNorContinuedUnasked) {
  const testing::TemporaryFolder folder;
  run_loop(options_in(folder.path()), Training().loop(), {});
  const std::string path = (folder.path() / "toy.state.safetensors").string();
  const std::string before = read_file(path);
  EXPECT_EQ(
      message_of<InvalidRequest>(
          [&] { run_loop(options_in(folder.path()), Training().loop(), {}); }),
      fmt::format(
          "\"{}\" holds the state of an earlier run; go on with --resume, or name another --out",
          path));
  EXPECT_EQ(read_file(path), before);
}

TEST(RunLoop, OtherSettingsAreRefused) {
  const testing::TemporaryFolder folder;
  run_loop(options_in(folder.path()), Training().loop(), {});
  LoopOptions other = options_in(folder.path(), true);
  other.settings["lr"] = "0.2";
  EXPECT_EQ(message_of<InvalidRequest>([&] { run_loop(other, Training().loop(), {}); }),
            fmt::format("\"{}\" was made with lr 0.1, which is 0.2 now; resume with the same "
                        "settings, or name another --out",
                        (folder.path() / "toy.state.safetensors").string()));
}

TEST(RunLoop, AFinishedRunMakesNoMoreIterations) {
  const testing::TemporaryFolder folder;
  EXPECT_FALSE(is_finished(options_in(folder.path())));
  run_loop(options_in(folder.path()), Training().loop(), {});
  EXPECT_TRUE(is_finished(options_in(folder.path())));
  Training again;
  again.before_step = [](int64_t) { throw LoopKilled(); };
  run_loop(options_in(folder.path(), true), again.loop(), {});
  LoopOptions longer = options_in(folder.path());
  longer.iterations = 12;
  EXPECT_FALSE(is_finished(longer));
}

TEST(RunLoop, TheLogHasARowForEachIteration) {
  const testing::TemporaryFolder folder;
  run_loop(options_in(folder.path()), Training().loop(), {});
  const CsvData log = read_csv(folder.path() / "toy.csv");
  EXPECT_EQ(log.names, (std::vector<std::string>{"iteration", "loss", "odd"}));
  ASSERT_EQ(log.column("iteration").size(), 11u);
  EXPECT_EQ(log.column("iteration").back(), 10);
  EXPECT_TRUE(std::isnan(log.column("odd")[0])) << "no value in this iteration";
  EXPECT_EQ(log.column("odd")[1], 1);
}

TEST(RunLoop, SamplesAreMadeWhenDueAndByTheWriterAlone) {
  const testing::TemporaryFolder folder, other;
  std::vector<int64_t> sampled;
  Training run, reader;
  Loop loop = run.loop(), second = reader.loop();
  loop.sample = second.sample = [&](int64_t i) { sampled.push_back(i); };
  LoopOptions options = options_in(folder.path());
  options.sample_every = 5;
  run_loop(options, loop, {});
  EXPECT_EQ(sampled, (std::vector<int64_t>{5, 10}));
  options = options_in(other.path());
  options.sample_every = 5;
  options.is_writer = false;
  run_loop(options, second, {});
  EXPECT_EQ(sampled.size(), 2u);
  EXPECT_TRUE(std::filesystem::is_empty(other.path()));
  EXPECT_TRUE(torch::equal(reader.parameter, run.parameter));
}

TEST(RunLoop, ReportsHowFarItIs) {
  const testing::TemporaryFolder folder;
  std::vector<int64_t> steps;
  Events events;
  events.on_progress = [&](const Progress& progress) {
    EXPECT_EQ(progress.stage, Stage::kTrain);
    EXPECT_EQ(progress.num_steps, 11);
    steps.push_back(progress.step);
  };
  run_loop(options_in(folder.path()), Training().loop(), events);
  EXPECT_EQ(steps.front(), 0);
  EXPECT_EQ(steps.back(), 11);
  EXPECT_EQ(steps.size(), 12u);
}

TEST(LearningRate, RisesLinearlyThenFallsAlongHalfACosine) {
  const auto rate = [](int64_t i) { return learning_rate_at(i, 110, 2, 10, 0.1); };
  EXPECT_DOUBLE_EQ(rate(0), 0.2);
  EXPECT_DOUBLE_EQ(rate(9), 2);
  EXPECT_DOUBLE_EQ(rate(10), 2);
  EXPECT_DOUBLE_EQ(rate(60), 2 * 0.55);
  EXPECT_DOUBLE_EQ(rate(35), 2 * (0.1 + 0.9 * 0.5 * (1 + std::sqrt(0.5))));
  EXPECT_DOUBLE_EQ(rate(110), 0.2);
  EXPECT_DOUBLE_EQ(rate(500), 0.2) << "longer than planned";
  EXPECT_DOUBLE_EQ(learning_rate_at(0, 10, 3, 0, 1), 3) << "no warm-up";
  EXPECT_DOUBLE_EQ(learning_rate_at(5, 5, 3, 5, 0.5), 3) << "all warm-up";
}

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
