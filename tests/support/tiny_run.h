#pragma once
// Whole runs of the tiny model, for the tests of the pipeline.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "pipeline/txt2img.h"
#include "support/golden.h"
#include "support/tiny_model.h"

namespace fourstep::testing {

class TinyRun : public ::testing::Test {
 protected:
  void SetUp() override { write_tiny_sdxl(model()); }

  std::string path(const char* name) const { return (folder_.path() / name).string(); }
  std::string model() const { return path("tiny.safetensors"); }
  std::string lora() const { return path("lora.safetensors"); }

  /// Three steps at 64x64 px, without guidance.
  Request request() const {
    Request r;
    r.files.model = model();
    r.prompt.text = "a cat";
    r.picture.width = r.picture.height = 64;
    r.sampling.steps = 3;
    r.sampling.sampler = "lcm";
    r.sampling.schedule = "dmd2";
    r.sampling.cfg_scale = 1;
    r.picture.seed = 7;
    return r;
  }

  static std::vector<GeneratedImage> run(Models& models, const Request& r,
                                         const Events& events = {}) {
    validate(r);
    models.choose_loras(r.files.loras, r.files.lora_partial);
    std::vector<GeneratedImage> images;
    const ResolvedRequest resolved = resolve(r, models.traits(), events);
    const PromptPlan prompts = encode_prompts(models, resolved, events);
    models.free_text_encoders();
    txt2img(models, resolved, prompts, events,
            [&](const GeneratedImage& image) { images.push_back(image); });
    return images;
  }

  static std::vector<GeneratedImage> run(const Request& r, const Events& events = {}) {
    Models models(r.files, {});
    return run(models, r, events);
  }

  TemporaryFolder folder_;
};

}  // namespace fourstep::testing
