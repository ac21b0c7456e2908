#include "train/loop.h"

#include <charconv>

#include "base/error.h"
#include "base/memory.h"
#include "io/safetensors.h"
#include "report/csv_log.h"

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

namespace {

constexpr std::string_view kSetting = "setting.";  // prefix of the state's metadata

void save(const LoopOptions& options, const Loop& loop, int64_t iteration) {
  if (!options.is_writer) return;
  TrainingState state{iteration, loop.state(), {}};
  for (const auto& [name, value] : options.settings) {
    state.metadata[std::string(kSetting) + name] = value;
  }
  save_training_state(state_path(options), state);
}

void check_settings(const LoopOptions& options, const TrainingState& state) {
  for (const auto& [name, value] : options.settings) {
    const auto found = state.metadata.find(std::string(kSetting) + name);
    const std::string there = found == state.metadata.end() ? "not set" : found->second;
    if (there == value) continue;
    throw InvalidRequest(
        "\"{}\" was made with {} {}, which is {} now; resume with the same settings, or name "
        "another --out",
        state_path(options).string(), name, there, value);
  }
}

/// Iterations already made.
int64_t restore(const LoopOptions& options, const Loop& loop) {
  const auto path = state_path(options);
  if (!std::filesystem::exists(path)) return 0;
  if (!options.is_resumed) {
    throw InvalidRequest(
        "\"{}\" holds the state of an earlier run; go on with --resume, or name another --out",
        path.string());
  }
  const TrainingState state = load_training_state(path);
  check_settings(options, state);
  loop.restore(state.tensors);
  return state.iteration;
}

std::string text_of(const LossRow& row) {
  std::string text;
  for (const auto& [name, value] : row) {
    if (value) text += fmt::format("{}{} {:.4g}", text.empty() ? "" : "  ", name, *value);
  }
  return text;
}

/// Where a run that went wrong can go on.
std::string last_good_state(const LoopOptions& options, int64_t last_saved) {
  if (last_saved == 0) return "no state was saved before";
  return fmt::format("the last good state is that after iteration {} in \"{}\"", last_saved,
                     state_path(options).string());
}

void check_finite(const LoopOptions& options, const LossRow& row, int64_t iteration,
                  int64_t last_saved) {
  for (const auto& [name, value] : row) {
    if (!value || std::isfinite(*value)) continue;
    throw Error("{}: {} became {} in iteration {}; {}; try a lower learning rate", options.name,
                name, *value, iteration, last_good_state(options, last_saved));
  }
}

std::vector<std::string> columns_of(const LossRow& row) {
  std::vector<std::string> columns;
  for (const auto& [name, value] : row) columns.push_back(name);
  return columns;
}

std::vector<double> values_of(const LossRow& row) {
  std::vector<double> values;
  for (const auto& [name, value] : row) values.push_back(value.value_or(NAN));
  return values;
}

bool is_due(int64_t iteration, int64_t every) { return every > 0 && iteration % every == 0; }

}  // namespace

Events without_progress(Events events) {
  events.on_progress = nullptr;
  return events;
}

std::filesystem::path state_path(const LoopOptions& options) {
  return options.folder / (options.name + ".state.safetensors");
}

bool is_finished(const LoopOptions& options) {
  return std::filesystem::exists(state_path(options)) &&
         load_training_state(state_path(options)).iteration >= options.iterations;
}

void run_loop(const LoopOptions& options, const Loop& loop, const Events& events) {
  std::filesystem::create_directories(options.folder);
  keep_freed_memory();
  const int64_t first = restore(options, loop);
  int64_t saved = first, done = first;
  std::optional<CsvLog> log;
  try {
    events.report({Stage::kTrain, first, options.iterations, 0, {}, {}, first});
    while (done < options.iterations) {
      const LossRow row = loop.step(done);
      check_finite(options, row, done, saved);
      if (options.is_writer) {
        if (!log) log.emplace(options.folder / (options.name + ".csv"), columns_of(row), first);
        log->append(done, values_of(row));
      }
      ++done;
      if (is_due(done, options.save_every) || done == options.iterations) {
        save(options, loop, done);
        saved = done;
      }
      if (loop.sample && options.is_writer && is_due(done, options.sample_every)) loop.sample(done);
      events.report({Stage::kTrain, done, options.iterations, 0, {}, text_of(row), first});
    }
  } catch (const Cancelled&) {
    if (done > saved) save(options, loop, done);
    throw;
  }
}

double learning_rate_at(int64_t iteration, int64_t iterations, double peak, int64_t warmup,
                        double last_share) {
  if (iteration < warmup)
    return peak * static_cast<double>(iteration + 1) / static_cast<double>(warmup);
  const double share = static_cast<double>(iteration - warmup) /
                       static_cast<double>(std::max<int64_t>(1, iterations - warmup));
  const double cosine = 0.5 * (1 + std::cos(M_PI * std::min(1.0, share)));
  return peak * (last_share + (1 - last_share) * cosine);
}

}  // namespace fourstep
