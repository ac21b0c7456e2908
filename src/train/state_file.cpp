#include "train/state_file.h"

#include <charconv>

#include "base/error.h"
#include "io/safetensors.h"

namespace fourstep {

namespace {
constexpr const char* kIteration = "iteration";
}

void save_training_state(const std::filesystem::path& path, const TrainingState& state) {
  auto metadata = state.metadata;
  metadata[kIteration] = std::to_string(state.iteration);
  write_safetensors(path, state.tensors, metadata);
}

TrainingState load_training_state(const std::filesystem::path& path) {
  const TensorFile file = open_safetensors(path);
  TrainingState state{0, file.tensors, file.metadata};
  const auto found = state.metadata.find(kIteration);
  const std::string text = found == state.metadata.end() ? "" : found->second;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), state.iteration);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    throw Error("\"{}\" is no training state: its metadata has no iteration", path.string());
  }
  state.metadata.erase(found);
  return state;
}

void add_prefixed(NamedTensors& all, const std::string& prefix, const NamedTensors& tensors) {
  for (const auto& [name, tensor] : tensors) all[prefix + "/" + name] = tensor;
}

NamedTensors take_prefixed(const NamedTensors& all, const std::string& prefix) {
  NamedTensors tensors;
  const std::string start = prefix + "/";
  for (auto item = all.lower_bound(start); item != all.end() && item->first.starts_with(start);
       ++item) {
    tensors[item->first.substr(start.size())] = item->second;
  }
  return tensors;
}

}  // namespace fourstep
