#include "train/loop.h"

#include "base/error.h"
#include "report/csv_log.h"
#include "train/state_file.h"

namespace fourstep {

namespace {

constexpr const char* kSettings = "settings";

void save(const LoopOptions& options, const Loop& loop, int64_t iteration) {
  if (!options.is_writer) return;
  save_training_state(state_path(options),
                      {iteration, loop.state(), {{kSettings, options.settings}}});
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
  const auto settings = state.metadata.find(kSettings);
  if (settings == state.metadata.end() || settings->second != options.settings) {
    throw InvalidRequest(
        "\"{}\" was made with other settings ({}) than these ({}); resume with the same ones, or "
        "name another "
        "--out",
        path.string(), settings == state.metadata.end() ? "none" : settings->second,
        options.settings);
  }
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

void check_finite(const LoopOptions& options, const LossRow& row, int64_t iteration,
                  int64_t last_saved) {
  for (const auto& [name, value] : row) {
    if (!value || std::isfinite(*value)) continue;
    throw Error(
        "{}: {} became {} in iteration {}; the last good state is that after iteration {} in "
        "\"{}\"; try a lower "
        "learning rate",
        options.name, name, *value, iteration, last_saved, state_path(options).string());
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

std::filesystem::path state_path(const LoopOptions& options) {
  return options.folder / (options.name + ".state.safetensors");
}

bool is_finished(const LoopOptions& options) {
  return std::filesystem::exists(state_path(options)) &&
         load_training_state(state_path(options)).iteration >= options.iterations;
}

void run_loop(const LoopOptions& options, const Loop& loop, const Events& events) {
  std::filesystem::create_directories(options.folder);
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
