#include "request/settings.h"

#include <fmt/format.h>

#include <array>

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

}  // namespace

std::span<const Word<Emphasis>> words_of(Emphasis) {
  static constexpr Word<Emphasis> kWords[] = {{"auto", Emphasis::kAuto},
                                              {"original", Emphasis::kOriginal},
                                              {"no_norm", Emphasis::kNoNorm},
                                              {"comfyui", Emphasis::kComfy},
                                              {"ignore", Emphasis::kIgnore}};
  return kWords;
}

std::span<const Word<NoiseChoice>> words_of(NoiseChoice) {
  static constexpr Word<NoiseChoice> kWords[] = {
      {"auto", NoiseChoice::kAuto}, {"torch", NoiseChoice::kTorch}, {"nv", NoiseChoice::kNv}};
  return kWords;
}

std::span<const Word<EmptyNegative>> words_of(EmptyNegative) {
  static constexpr Word<EmptyNegative> kWords[] = {{"auto", EmptyNegative::kAuto},
                                                   {"zeros", EmptyNegative::kZeros},
                                                   {"encoded", EmptyNegative::kEncoded}};
  return kWords;
}

std::span<const Word<PredictionChoice>> words_of(PredictionChoice) {
  static constexpr Word<PredictionChoice> kWords[] = {{"auto", PredictionChoice::kAuto},
                                                      {"epsilon", PredictionChoice::kEpsilon},
                                                      {"v_prediction", PredictionChoice::kV}};
  return kWords;
}

std::span<const Word<LatentUpscale>> words_of(LatentUpscale) {
  static constexpr Word<LatentUpscale> kWords[] = {
      {"nearest-exact", LatentUpscale::kNearestExact},
      {"nearest", LatentUpscale::kNearest},
      {"bilinear", LatentUpscale::kBilinear},
      {"bilinear-antialiased", LatentUpscale::kBilinearAntialiased},
      {"bicubic", LatentUpscale::kBicubic},
      {"bicubic-antialiased", LatentUpscale::kBicubicAntialiased},
      {"area", LatentUpscale::kArea}};
  return kWords;
}

std::span<const Word<Precision>> words_of(Precision) {
  static constexpr Word<Precision> kWords[] = {{"auto", Precision::kAuto},
                                               {"bf16", Precision::kBf16},
                                               {"fp16", Precision::kFp16},
                                               {"fp32", Precision::kFp32}};
  return kWords;
}

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

void value_from_text(const FieldInfo&, std::string_view text, Dialect& value) {
  value = dialect_from_name(text);
}

std::string text_from_value(Dialect value) { return std::string(dialect_name(value)); }

}  // namespace fourstep
