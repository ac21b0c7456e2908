#pragma once
// Everything a training run needs to go on, in one safetensors file that is replaced as a whole.

#include <filesystem>
#include <string>

#include "base/tensor.h"
#include "io/file_metadata.h"

namespace fourstep {

struct TrainingState {
  int64_t iteration = 0;  ///< finished iterations
  NamedTensors tensors;
  Metadata metadata;  ///< without "iteration"
};

/// Written under another name, synced and renamed: at every moment the old or the new state is there.
void save_training_state(const std::filesystem::path& path, const TrainingState& state);

/// Tensors are views of the mapped file. Throws Error naming the file when it is no training state.
TrainingState load_training_state(const std::filesystem::path& path);

/// Adds `tensors` as "PREFIX/NAME" to `all`.
void add_prefixed(NamedTensors& all, const std::string& prefix, const NamedTensors& tensors);
/// Those of `all` under "PREFIX/", without it.
NamedTensors take_prefixed(const NamedTensors& all, const std::string& prefix);

}  // namespace fourstep
