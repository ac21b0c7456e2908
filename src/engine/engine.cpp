#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/memory.h"
#include "pipeline/hires.h"
#include "pipeline/precision.h"
#include "request/image_metadata.h"
#include "request/image_series.h"
#include "request/lora_lookup.h"

namespace fourstep {

namespace {

using Clock = std::chrono::steady_clock;

std::string key_of(const Request& request) {
  const FileSettings& files = request.files;
  const NetworkSettings& networks = request.networks;
  std::string key = fmt::format("{} {}", text_from_value(networks.precision),
                                text_from_value(networks.vae_precision));
  for (const std::string* file :
       {&files.model, &files.unet, &files.vae, &files.text_encoder, &files.text_encoder_2}) {
    key += '\n' + *file;
  }
  return key;
}

template <typename T>
bool add_once(std::vector<T>& list, const T& item) {
  if (std::find(list.begin(), list.end(), item) != list.end()) return false;
  list.push_back(item);
  return true;
}

}  // namespace

ImageText PlannedImages::text(int64_t index) const {
  return image_metadata(single_image(request.written, index), family, files);
}

/// One run: its report, and the events that fill it. The time between two reports of progress
/// belongs to the stage of the first one.
class Engine::Session {
 public:
  explicit Session(const Callbacks& callbacks) : callbacks_(callbacks), events_(callbacks.events) {
    events_.on_notice = [this](const std::string& sentence) {
      if (add_once(report_.notices, sentence)) callbacks_.events.notice(sentence);
    };
    events_.on_progress = [this](const Progress& progress) {
      enter(progress.stage);
      if (callbacks_.events.on_progress) callbacks_.events.on_progress(progress);
    };
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Events& events() const { return events_; }

  void add_lora_line(const std::string& line) {
    if (add_once(report_.lora_lines, line)) callbacks_.events.notice(line);
  }
  void add_finding(const LintFinding& finding) {
    if (add_once(report_.findings, finding)) callbacks_.events.notice(text_of(finding));
  }
  void add_placement(const Placement& placement) {
    report_.device = placement.device.str();
    report_.precision = precision_name(placement.dtype);
    report_.vae_precision = precision_name(placement.vae_dtype);
  }

  void plan(const PlannedImages& images) const {
    if (callbacks_.on_planned) callbacks_.on_planned(images);
  }
  void save(const PlannedImages& images, const GeneratedImage& made) {
    enter(Stage::kSave);
    if (callbacks_.on_image) callbacks_.on_image(images, made);
  }

  Report finish() {
    enter(stage_);
    report_.seconds = std::chrono::duration<double>(last_ - start_).count();
    report_.peak_memory_bytes = peak_memory_bytes();
    return std::move(report_);
  }

 private:
  void enter(Stage stage) {
    const Clock::time_point now = Clock::now();
    report_.timings[to_string(stage_)] += std::chrono::duration<double>(now - last_).count();
    last_ = now;
    stage_ = stage;
  }

  const Callbacks& callbacks_;
  Events events_;
  Report report_;
  Stage stage_ = Stage::kLoad;
  Clock::time_point start_ = Clock::now(), last_ = start_;
};

Engine::Engine(EngineOptions options)
    : options_(std::move(options)), device_(device_from_text(options_.device)) {}

void Engine::make_room_for(const Models& models) {
  const auto bytes = [&] {
    uint64_t sum = models.whole_bytes();
    for (const LoadedModel& loaded : loaded_) sum += loaded.models.loaded_bytes();
    return sum;
  };
  while (!loaded_.empty() && bytes() > options_.max_model_bytes) loaded_.pop_back();
  return_freed_memory();
}

Engine::LoadedModel& Engine::model_of(const Request& request, Session& session) {
  const std::string key = key_of(request);
  const auto found = std::find_if(loaded_.begin(), loaded_.end(),
                                  [&](const LoadedModel& one) { return one.key == key; });
  if (found != loaded_.end()) {
    loaded_.splice(loaded_.begin(), loaded_, found);
  } else {
    Placement placement{.device = device_};
    placement.dtype = network_dtype(text_from_value(request.networks.precision), device_);
    placement.vae_dtype =
        vae_dtype(text_from_value(request.networks.vae_precision), placement.dtype);
    Models models(request.files, placement);  // maps files, reads no weights
    make_room_for(models);
    loaded_.push_front({key, std::move(models), {.max_bytes = options_.max_prompt_bytes}});
  }
  LoadedModel& model = loaded_.front();
  for (const std::string& notice : model.models.checkpoint().notices) {
    session.events().notice(notice);
  }
  session.add_placement(model.models.placement());
  return model;
}

Engine::Job Engine::prepare(const Request& request, LoadedModel& model, Session& session) {
  const Events& events = session.events();
  Models& models = model.models;
  Job job{{}, loras_of(request, events), request.files.lora_partial, {}};
  if (!models.has_loras(job.loras, job.is_partial_allowed)) {
    models.choose_loras(job.loras, job.is_partial_allowed);
  }
  for (const std::string& line : models.lora_lines()) session.add_lora_line(line);
  // The tags' LoRAs count as those of flags wherever they are not written down.
  Request asked = request;
  asked.files.loras = job.loras;
  const ModelTraits traits = models.traits();
  ResolvedRequest& resolved = job.images.request = resolve(asked, traits, events);
  const std::vector<PassPlan> passes =
      plan_passes(resolved);  // says before encoding what cannot work
  for (const LintFinding& finding : lint({asked, resolved, traits, passes.front().plan})) {
    session.add_finding(finding);
  }
  job.prompts = encode_prompts(models, resolved, events, model.prompts);
  job.images.family = models.checkpoint().family;
  job.images.files =
      make_file_tags(resolved.written.files, {job.prompts.inversions, models.licences()}, events);
  resolved.written.files.loras = request.files.loras;
  return job;
}

Report Engine::run(const Request& request, const Callbacks& callbacks) {
  std::vector<std::string> notices;
  Events events = callbacks.events;
  events.on_notice = [&](const std::string& sentence) {
    if (add_once(notices, sentence)) callbacks.events.notice(sentence);
  };
  Report report = run(expand_prompts(checked_request(request), events), callbacks);
  report.notices.insert(report.notices.begin(), notices.begin(), notices.end());
  return report;
}

Report Engine::run(std::span<const Request> requests, const Callbacks& callbacks) {
  constexpr size_t kPreparedAtOnce = 32;  // text encoders are loaded once for so many
  Session session(callbacks);
  for (size_t begin = 0; begin < requests.size();) {
    LoadedModel& model = model_of(requests[begin], session);
    std::vector<Job> jobs;
    for (; begin < requests.size() && jobs.size() < kPreparedAtOnce; ++begin) {
      if (key_of(requests[begin]) != model.key) break;
      jobs.push_back(prepare(requests[begin], model, session));
      session.plan(jobs.back().images);
    }
    if (!options_.keep_text_encoders) model.models.free_text_encoders();
    for (const Job& job : jobs) {
      if (!model.models.has_loras(job.loras, job.is_partial_allowed)) {
        model.models.choose_loras(job.loras, job.is_partial_allowed);
      }
      txt2img(model.models, job.images.request, job.prompts, session.events(),
              [&](const GeneratedImage& made) { session.save(job.images, made); });
    }
  }
  return session.finish();
}

}  // namespace fourstep
