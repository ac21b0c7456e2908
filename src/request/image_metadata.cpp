#include "request/image_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/fields_json.h"
#include "io/image.h"
#include "io/text_encoding.h"
#include "io/weight_files.h"
#include "sampling/samplers.h"
#include "sampling/schedules.h"
#include "text/prompt_rules.h"

namespace fourstep {

namespace {

using Json = nlohmann::ordered_json;

std::string prompt_with_tags(const Request& request) {
  std::string prompt = request.prompt.text;
  for (const LoraUse& use : request.files.loras) {
    prompt += fmt::format(" <lora:{}:{}", stem_of(use.file), use.text_weight);
    prompt += use.unet_weight == use.text_weight
                  ? ">"
                  : fmt::format(":{}>", text_from_step_weights(use.unet_weight));
  }
  return prompt;
}

/// A1111's name for what the weights of the prompts did; empty for its default, and without
/// weights.
std::string emphasis_name(const Request& request) {
  const PromptRules rules =
      prompt_rules(request.sampling.dialect, text_from_value(request.prompt.emphasis));
  const bool has_any = has_weights(request.prompt.text, rules.syntax) ||
                       has_weights(request.prompt.negative, rules.syntax);
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

/// A1111's own for what it has.
std::string a1111_upscaler_name(LatentUpscale upscale) {
  switch (upscale) {
    case LatentUpscale::kBilinear:
      return "Latent";
    case LatentUpscale::kBilinearAntialiased:
      return "Latent (antialiased)";
    case LatentUpscale::kBicubicAntialiased:
      return "Latent (bicubic antialiased)";
    default:
      return fmt::format("Latent ({})", text_from_value(upscale));
  }
}

void add_hires(Infotext& text, const HiresSettings& hires) {
  if (hires.scale == 1) return;
  text.fields.push_back({"Denoising strength", fmt::format("{}", hires.denoise)});
  text.fields.push_back({"Hires upscale", fmt::format("{}", hires.scale)});
  if (hires.steps > 0) text.fields.push_back({"Hires steps", std::to_string(hires.steps)});
  text.fields.push_back({"Hires upscaler", a1111_upscaler_name(hires.upscale)});
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

RecordedSettings read_settings(const std::filesystem::path& image) {
  const ImageText text = read_image_text(image);
  RecordedSettings settings;
  if (const auto ours = text.find("fourstep"); ours != text.end()) {
    const Json json = Json::parse(ours->second, nullptr, /*allow_exceptions=*/false);
    if (json.is_discarded()) throw Error("{}: the text \"fourstep\" is no JSON", image.string());
    settings.request = request_from_json(json);
  }
  if (const auto line = text.find("parameters"); line != text.end()) {
    settings.infotext = parse_infotext(line->second);
  }
  if (!settings.request && !settings.infotext) {
    throw Error("{}: carries no settings: neither \"fourstep\" nor \"parameters\"", image.string());
  }
  return settings;
}

ImageText image_metadata(const Request& request, Family family, const FileTags& files) {
  const FileSettings& named = request.files;
  const SamplingSettings& sampling = request.sampling;
  const NoiseSettings& noise = request.noise;
  const int64_t steps = sampling.steps.value_or(0);
  const int64_t normal_skip = family == Family::kSd15 ? 1 : 2;
  const bool has_variation = noise.variation_strength > 0;
  const bool has_list = !sampling.timesteps.empty() || !sampling.sigmas.empty();

  Infotext text;
  text.prompt = prompt_with_tags(request);
  text.negative_prompt = request.prompt.negative;
  text.fields = {
      {"Steps", std::to_string(steps)},
      {"Sampler", a1111_sampler_name(sampling.sampler)},
      {"Schedule type", has_list ? "" : a1111_schedule_name(sampling.schedule, steps)},
      {"CFG scale", text_from_value(sampling.cfg_scale)},
      {"Seed", std::to_string(request.picture.seed.value_or(0))},
      {"Size", fmt::format("{}x{}", request.picture.width, request.picture.height)},
      {"Model hash", files.model},
      {"Model", stem_of(named.model)},
      {"UNet hash", files.unet},
      {"UNet", named.unet.empty() ? "" : stem_of(named.unet)},
      {"VAE hash", files.vae},
      {"VAE", named.vae.empty() ? "" : stem_of(named.vae)},
      {"Text encoder hash", files.text_encoder},
      {"Text encoder", named.text_encoder.empty() ? "" : stem_of(named.text_encoder)},
      {"Text encoder 2 hash", files.text_encoder_2},
      {"Text encoder 2", named.text_encoder_2.empty() ? "" : stem_of(named.text_encoder_2)},
      {"Clip skip", request.networks.clip_skip > 0
                        ? std::to_string(request.networks.clip_skip + normal_skip)
                        : ""},
      {"Variation seed", has_variation ? std::to_string(noise.variation_seed) : ""},
      {"Variation seed strength", has_variation ? fmt::format("{}", noise.variation_strength) : ""},
      {"Seed resize from",
       noise.seed_width > 0 ? fmt::format("{}x{}", noise.seed_width, noise.seed_height) : ""},
      {"ENSD", noise.ensd != 0 ? std::to_string(noise.ensd) : ""},
      {"Emphasis", emphasis_name(request)},
      {"Old prompt editing timelines", request.prompt.old_prompt_schedules ? "True" : ""},
      {"Eta", text_from_value(sampling.eta)},
      {"Sigma churn", sampling.s_churn > 0 ? fmt::format("{}", sampling.s_churn) : ""},
      {"Sigma noise", sampling.s_noise != 1 ? fmt::format("{}", sampling.s_noise) : ""},
      {"Schedule rho", text_from_value(sampling.rho)},
      {"RNG", noise.origin == NoiseChoice::kNv ? "NV" : "CPU"},
      {"Timesteps", text_from_value(sampling.timesteps)},
      {"Sigmas", text_from_value(sampling.sigmas)},
      {"Lora hashes", files.loras},
      {"TI hashes", files.inversions},
      {"Licenses", files.licenses},
      {"Version", "fourstep"},
  };
  add_hires(text, request.hires);
  add_guidance(text, request.guidance);
  Json json = json_from_request(without_folders(request));
  json[kHashesMember] = hashes_json(files);
  return {{"parameters", text_without_nuls(format_infotext(text))}, {"fourstep", dump_json(json)}};
}

}  // namespace fourstep
