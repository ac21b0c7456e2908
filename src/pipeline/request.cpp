#include "pipeline/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/dialect.h"
#include "base/error.h"

namespace fourstep {

namespace {

// Weights are taken off the end, so that names with a colon in them still work.
LoraUse parse_lora_use(const FieldInfo& field, std::string text) {
  std::vector<StepWeights> weights;
  for (size_t colon = text.rfind(':'); weights.size() < 2 && colon != std::string::npos;
       colon = text.rfind(':')) {
    const std::string tail = text.substr(colon + 1);
    if (tail.empty()) {
      throw InvalidRequest("{} {}: there is no weight behind the colon", flag_name(field), text);
    }
    if (!looks_like_weights(tail) && number_hint(tail).empty()) break;
    text.resize(colon);
    const std::string what = fmt::format("{} {}", flag_name(field), text);
    weights.insert(weights.begin(), step_weights_from_text(what, tail));
  }
  if (text.empty()) {
    throw InvalidRequest("{}: no file is named; write FILE or FILE:WEIGHT", flag_name(field));
  }
  LoraUse use{text};
  if (weights.empty()) return use;
  if (weights.size() == 2 && !weights[1].is_constant()) {
    throw InvalidRequest(
        "{}: {}: the text weight \"{}\" changes over the steps, but text encoders run once, before "
        "them; give one number",
        flag_name(field), text, text_from_step_weights(weights[1]));
  }
  use.unet_weight = weights.front();
  use.text_weight = weights.back().first();
  return use;
}

void check_falls(const char* flag, const std::vector<double>& list) {
  if (std::is_sorted(list.begin(), list.end(), std::greater_equal<>())) return;
  throw InvalidRequest("{}: the numbers must fall, got {}", flag, text_from_value(list));
}

void check_length(const char* what, const std::string& text) {
  constexpr size_t kLongest = 64 << 10;  // the most that any parser of prompts has to take
  if (text.size() <= kLongest) return;
  throw InvalidRequest("{}: {} bytes, at most {} are read", what, text.size(), kLongest);
}

}  // namespace

void value_from_text(const FieldInfo& field, std::string_view text, std::vector<LoraUse>& value) {
  std::vector<LoraUse> parsed;
  for (std::string& part : split_text(text, ';')) {
    parsed.push_back(parse_lora_use(field, std::move(part)));
  }
  value = std::move(parsed);
}

std::string text_from_value(const std::vector<LoraUse>& value) {
  std::string text;
  for (const LoraUse& use : value) {
    text += fmt::format("{}{}:{}", text.empty() ? "" : ";", use.file,
                        text_from_step_weights(use.unet_weight));
    if (use.text_weight != use.unet_weight.first()) text += fmt::format(":{}", use.text_weight);
  }
  return text;
}

double single_weight(const LoraUse& use) {
  if (use.unet_weight.is_constant()) return use.unet_weight.first();
  throw InvalidRequest(
      "{}: the weight {} changes over sampling steps, and there are none here; give one number",
      use.file, text_from_step_weights(use.unet_weight));
}

Request single_image(Request request, int64_t index) {
  const auto offset = static_cast<uint64_t>(index);
  if (request.variation_strength == 0) {
    if (request.seed) *request.seed += offset;
  } else {
    request.variation_seed += offset;
  }
  request.images = 1;
  return request;
}

void validate(const Request& request) {
  dialect_from_name(request.dialect);
  check_word("--noise", request.noise, {"auto", "torch", "nv"});
  check_word("--empty-negative", request.empty_negative, {"auto", "zeros", "encoded"});
  check_word("--emphasis", request.emphasis, {"auto", "original", "no_norm", "comfyui", "ignore"});
  check_length("the prompt", request.prompt);
  check_length("--negative-prompt", request.negative_prompt);
  check_word("--prediction", request.prediction, {"auto", "epsilon", "v_prediction"});
  check_word("--precision", request.precision, {"auto", "bf16", "fp16", "fp32"});
  check_word("--vae-precision", request.vae_precision, {"auto", "bf16", "fp16", "fp32"});
  if (!request.timesteps.empty() && !request.sigmas.empty()) {
    throw InvalidRequest(
        std::string("--timesteps and --sigmas exclude each other: give one of them"));
  }
  if ((request.seed_width == 0) != (request.seed_height == 0)) {
    throw InvalidRequest(std::string("--seed-width and --seed-height need each other"));
  }
  if (!request.sigmas.empty() && request.sigmas.front() == 0) {
    throw InvalidRequest(std::string("--sigmas: the first noise level must be above 0"));
  }
  check_falls("--timesteps", request.timesteps);
  check_falls("--sigmas", request.sigmas);
  validate_guidance(request.guidance);
}

}  // namespace fourstep
