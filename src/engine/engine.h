#pragma once
// From requests to images: models in memory, LoRAs and prompts that are done once, requests in an
// order that does nothing twice, and one report of what was said, found and spent.

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/events.h"
#include "io/image.h"
#include "pipeline/lint.h"
#include "pipeline/models.h"
#include "pipeline/prompt_plan.h"
#include "pipeline/txt2img.h"
#include "request/file_tags.h"

namespace fourstep {

struct EngineOptions {
  std::string device = "auto";  ///< see device_from_text()
  /// Of the weights of all loaded models together; those used least recently go first. The model in
  /// use stays, however large it is.
  uint64_t max_model_bytes = 0;
  uint64_t max_prompt_bytes =
      64 << 20;  ///< of a model's encoded prompts that are kept for later requests
  bool keep_text_encoders =
      false;  ///< beside the UNet; else they go before it runs, and are loaded again for new texts
};

/// A request whose images are about to be made.
struct PlannedImages {
  ResolvedRequest request;
  Family family = Family::kSdxl;
  FileTags files;

  /// What an image file carries, see image_metadata(). index: of the image, 0 .. request.images -
  /// 1.
  ImageText text(int64_t index) const;
};

/// All may be empty.
struct Callbacks {
  /// on_notice hears each sentence for the user once: notices, LoRA lines and findings.
  Events events = {};
  /// Before minutes of sampling: an exception from here ends the run.
  std::function<void(const PlannedImages&)> on_planned = {};
  std::function<void(const PlannedImages&, const GeneratedImage&)> on_image = {};
};

struct Report {
  std::vector<std::string> notices, lora_lines;
  std::vector<LintFinding> findings;
  std::map<std::string, double>
      timings;                     ///< seconds by stage: "load", "lora", "encode", "sample", ...
  double seconds = 0;              ///< in all
  uint64_t peak_memory_bytes = 0;  ///< of the process so far
  std::string device, precision, vae_precision;
};

/// Not thread-safe: one worker, one engine. An exception leaves it as good as new: a model that it
/// stopped in the middle of loading or fusing is repaired by the next run.
class Engine {
 public:
  explicit Engine(EngineOptions options = {});

  /// All images of a request; random parts of its prompts are drawn (expand_prompts()). Throws
  /// InvalidRequest and Error naming what is wrong, Cancelled when the user stops.
  Report run(const Request& request, const Callbacks& callbacks = {});

  /// The same for requests without random parts (image_series() of a checked_request()), one after
  /// another. Few of them are prepared at once, so that memory does not grow with their number.
  Report run(std::span<const Request> requests, const Callbacks& callbacks);

 private:
  struct LoadedModel {
    std::string key;  ///< files and precision
    Models models;
    EncodingCache prompts;
  };
  struct Job {
    PlannedImages images;
    std::vector<LoraUse> loras;  ///< of the request and of tags in its prompt
    bool is_partial_allowed = false;
    PromptPlan prompts;
  };
  class Session;

  LoadedModel& model_of(const Request& request, Session& session);
  void make_room_for(const Models& models);
  Job prepare(const Request& request, LoadedModel& model, Session& session);

  EngineOptions options_;
  torch::Device device_;
  std::list<LoadedModel> loaded_;  ///< the one used last in front
};

}  // namespace fourstep
