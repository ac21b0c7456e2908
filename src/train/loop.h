#pragma once
// The loop that everything trained here shares: count iterations, save and resume, log, stop when
// told to or when the loss is no number.

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/events.h"
#include "base/tensor.h"
#include "io/tensor_file.h"

namespace fourstep {

/// What an iteration reports, by column name; the same names in each iteration, without value where
/// it has none.
using LossRow = std::vector<std::pair<std::string, std::optional<double>>>;

struct LoopOptions {
  std::filesystem::path folder;  ///< of the state; made when absent
  std::string name;              ///< of what is trained: NAME.state.safetensors, NAME.csv
  int64_t iterations = 0;
  int64_t save_every = 200;
  int64_t sample_every = 0;  ///< 0: never
  bool is_resumed = false;   ///< go on from the state in the folder, if there is one
  /// What a resumed run must have equal, by name; kept in the state.
  std::map<std::string, std::string> settings = {};
  bool is_writer = true;  ///< false in all but one of several processes
};

struct Loop {
  std::function<LossRow(int64_t iteration)> step;
  /// All that the iterations change, by name; views. Restored in place.
  std::function<NamedTensors()> state;
  std::function<void(const NamedTensors& state)> restore;
  std::function<void(int64_t iteration)> sample = {};  ///< after that many iterations; may be empty
};

/// Runs what is left of the iterations. The state is written every save_every iterations, at the
/// end, and when the user stops. Each iteration depends on the state and its number alone, so a run
/// that was killed and resumed ends with the same numbers.
/// Throws Cancelled; Error when a value becomes NaN or infinite (naming the iteration and the last
/// good state, if any), when there is a state and is_resumed is false, and when it was made with
/// other settings.
void run_loop(const LoopOptions& options, const Loop& loop, const Events& events);

/// `events` without progress: what reports within an iteration would restart the bar of the loop.
Events without_progress(Events events);

/// NAME.state.safetensors in the folder.
std::filesystem::path state_path(const LoopOptions& options);

/// Whether the folder holds a state that has made all its iterations.
bool is_finished(const LoopOptions& options);

/// Learning rate of an iteration: rises over `warmup` iterations, then falls along a half cosine to
/// `last_share` of `peak` at the end.
double learning_rate_at(int64_t iteration, int64_t iterations, double peak, int64_t warmup,
                        double last_share);

// Everything a training run needs to go on, in one safetensors file that is replaced as a whole.

struct TrainingState {
  int64_t iteration = 0;  ///< finished iterations
  NamedTensors tensors;
  Metadata metadata;  ///< without "iteration"
};

/// Written under another name, synced and renamed: at every moment the old or the new state is
/// there.
void save_training_state(const std::filesystem::path& path, const TrainingState& state);

/// Tensors are views of the mapped file. Throws Error naming the file when it is no training state.
TrainingState load_training_state(const std::filesystem::path& path);

/// Adds `tensors` as "PREFIX/NAME" to `all`.
void add_prefixed(NamedTensors& all, const std::string& prefix, const NamedTensors& tensors);
/// Those of `all` under "PREFIX/", without it.
NamedTensors take_prefixed(const NamedTensors& all, const std::string& prefix);

}  // namespace fourstep
