#include "pipeline/image_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "io/fields_json.h"
#include "io/infotext.h"
#include "io/text_encoding.h"
#include "io/weight_files.h"
#include "pipeline/request_json.h"
#include "pipeline/shared_names.h"
#include "sampling/samplers.h"
#include "sampling/schedules.h"
#include "text/prompt_rules.h"

namespace fourstep {

namespace {

using Json = nlohmann::ordered_json;

std::string prompt_with_tags(const Request& request) {
  std::string prompt = request.prompt;
  for (const LoraUse& use : request.loras) {
    prompt += fmt::format(" <lora:{}:{}", stem_of(use.file), use.text_weight);
    prompt += use.unet_weight == use.text_weight
                  ? ">"
                  : fmt::format(":{}>", text_from_step_weights(use.unet_weight));
  }
  return prompt;
}

/// A1111's name for what the weights of the prompts did; empty for its default, and without weights.
std::string emphasis_name(const Request& request) {
  const PromptRules rules = prompt_rules(dialect_from_name(request.dialect), request.emphasis);
  const bool has_any = has_weights(request.prompt, rules.syntax) ||
                       has_weights(request.negative_prompt, rules.syntax);
  if (!has_any || rules.syntax != PromptSyntax::kA1111) return "";
  if (rules.emphasis == EmphasisRule::kNoNorm) return "No norm";
  return rules.emphasis == EmphasisRule::kIgnore ? "Ignore" : "";
}

/// The row's label of A1111, or its own name.
template <typename Row>
std::string a1111_label(std::span<const Row> rows, const std::string& name) {
  for (const Row& row : rows) {
    if (row.name == name && !row.names.a1111.empty()) return std::string(row.names.a1111);
  }
  return name;
}

/// "Nag scale" from "nag_scale".
std::string spoken_name(std::string_view field) {
  std::string name(field);
  std::replace(name.begin(), name.end(), '_', ' ');
  if (!name.empty()) name[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(name[0])));
  return name;
}

/// What differs from the defaults.
void add_guidance(Infotext& text, const GuidanceOptions& options) {
  std::map<std::string_view, std::string> defaults;
  const GuidanceOptions neutral;
  visit_guidance_fields(neutral, [&](const FieldInfo& field, const auto& value) {
    defaults[field.name] = text_from_value(value);
  });
  visit_guidance_fields(options, [&](const FieldInfo& field, const auto& value) {
    const std::string set = text_from_value(value);
    if (set != defaults[field.name]) text.fields.push_back({spoken_name(field.name), set});
  });
}

/// What is not empty.
Json hashes_json(const FileTags& files) {
  Json hashes = Json::object();
  for (const auto& [name, hash] : {std::pair{"model", &files.model},
                                   {"unet", &files.unet},
                                   {"vae", &files.vae},
                                   {"text_encoder", &files.text_encoder},
                                   {"text_encoder_2", &files.text_encoder_2},
                                   {"lora", &files.loras},
                                   {"embeddings", &files.inversions}}) {
    if (!hash->empty()) hashes[name] = *hash;
  }
  return hashes;
}

const char* spoken_text_name(const std::string& name) {
  return name == "parameters" ? "the settings as A1111 writes them" : "the whole request as JSON";
}

}  // namespace

std::vector<std::string> left_out_notices(const FittedText& fitted) {
  std::vector<std::string> notices;
  for (const LeftOutText& text : fitted.left_out) {
    notices.push_back(fmt::format("\"{}\" ({}) is left out of the image: {}; a PNG file holds all",
                                  text.name, spoken_text_name(text.name), text.reason));
  }
  return notices;
}

std::string a1111_sampler_name(const std::string& sampler) {
  return a1111_label(sampler_rows(), sampler);
}

std::string a1111_schedule_name(const std::string& schedule, int64_t steps) {
  // From two steps on, DMD2's schedule is A1111's "Simple" to the last digit.
  if (schedule == "dmd2" && steps > 1) return "Simple";
  return a1111_label(schedule_rows(), schedule);
}

std::string stem_of(const std::string& file) {
  const std::filesystem::path name = shared_name(file);
  const bool is_file = name.has_extension() && !std::filesystem::is_directory(file);
  return is_file ? stem_without_shard(name) : name.string();
}

ImageText image_metadata(const Request& request, Family family, const FileTags& files) {
  const int64_t steps = request.steps.value_or(0);
  const int64_t normal_skip = family == Family::kSd15 ? 1 : 2;
  const bool has_variation = request.variation_strength > 0;
  const bool has_list = !request.timesteps.empty() || !request.sigmas.empty();

  Infotext text;
  text.prompt = prompt_with_tags(request);
  text.negative_prompt = request.negative_prompt;
  text.fields = {
      {"Steps", std::to_string(steps)},
      {"Sampler", a1111_sampler_name(request.sampler)},
      {"Schedule type", has_list ? "" : a1111_schedule_name(request.schedule, steps)},
      {"CFG scale", text_from_value(request.cfg_scale)},
      {"Seed", std::to_string(request.seed.value_or(0))},
      {"Size", fmt::format("{}x{}", request.width, request.height)},
      {"Model hash", files.model},
      {"Model", stem_of(request.model)},
      {"UNet hash", files.unet},
      {"UNet", request.unet.empty() ? "" : stem_of(request.unet)},
      {"VAE hash", files.vae},
      {"VAE", request.vae.empty() ? "" : stem_of(request.vae)},
      {"Text encoder hash", files.text_encoder},
      {"Text encoder", request.text_encoder.empty() ? "" : stem_of(request.text_encoder)},
      {"Text encoder 2 hash", files.text_encoder_2},
      {"Text encoder 2", request.text_encoder_2.empty() ? "" : stem_of(request.text_encoder_2)},
      {"Clip skip", request.clip_skip > 0 ? std::to_string(request.clip_skip + normal_skip) : ""},
      {"Variation seed", has_variation ? std::to_string(request.variation_seed) : ""},
      {"Variation seed strength",
       has_variation ? fmt::format("{}", request.variation_strength) : ""},
      {"Seed resize from",
       request.seed_width > 0 ? fmt::format("{}x{}", request.seed_width, request.seed_height) : ""},
      {"ENSD", request.ensd != 0 ? std::to_string(request.ensd) : ""},
      {"Emphasis", emphasis_name(request)},
      {"Old prompt editing timelines", request.old_prompt_schedules ? "True" : ""},
      {"Eta", text_from_value(request.eta)},
      {"Sigma churn", request.s_churn > 0 ? fmt::format("{}", request.s_churn) : ""},
      {"Sigma noise", request.s_noise != 1 ? fmt::format("{}", request.s_noise) : ""},
      {"Schedule rho", text_from_value(request.rho)},
      {"RNG", request.noise == "nv" ? "NV" : "CPU"},
      {"Timesteps", text_from_value(request.timesteps)},
      {"Sigmas", text_from_value(request.sigmas)},
      {"Lora hashes", files.loras},
      {"TI hashes", files.inversions},
      {"Licenses", files.licenses},
      {"Version", "fourstep"},
  };
  add_guidance(text, request.guidance);
  Json json = json_from_request(without_folders(request));
  json[kHashesMember] = hashes_json(files);
  return {{"parameters", text_without_nuls(format_infotext(text))}, {"fourstep", dump_json(json)}};
}

}  // namespace fourstep
