#pragma once
// The parts of a request as people think of it: which files, which prompt, which picture, how
// sampled.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dialect.h"
#include "base/fields.h"
#include "base/step_weights.h"

namespace fourstep {

/// A LoRA file and how strongly it acts; any finite weight.
struct LoraUse {
  std::string file;
  StepWeights unet_weight = {};
  double text_weight = 1;  ///< one number: text encoders run once, before the steps

  bool operator==(const LoraUse&) const = default;
};

/// What weights in prompts do.
enum class Emphasis { kAuto, kOriginal, kNoNorm, kComfy, kIgnore };
/// Whose random numbers a seed stands for.
enum class NoiseChoice { kAuto, kTorch, kNv };
/// What an empty negative prompt becomes.
enum class EmptyNegative { kAuto, kZeros, kEncoded };
/// What the UNet returns.
enum class PredictionChoice { kAuto, kEpsilon, kV };
/// How a latent is made larger.
enum class LatentUpscale {
  kNearestExact,
  kNearest,
  kBilinear,
  kBilinearAntialiased,
  kBicubic,
  kBicubicAntialiased,
  kArea
};
/// The number type of a network.
enum class Precision { kAuto, kBf16, kFp16, kFp32 };

std::span<const Word<Emphasis>> words_of(Emphasis);
std::span<const Word<NoiseChoice>> words_of(NoiseChoice);
std::span<const Word<EmptyNegative>> words_of(EmptyNegative);
std::span<const Word<PredictionChoice>> words_of(PredictionChoice);
std::span<const Word<LatentUpscale>> words_of(LatentUpscale);
std::span<const Word<Precision>> words_of(Precision);

struct FileSettings {
  std::string model;
  std::string unet = {};
  std::string vae = {};
  std::string text_encoder = {};
  std::string text_encoder_2 = {};
  std::vector<LoraUse> loras = {};
  bool lora_partial = false;
  std::vector<std::string> lora_dir = {};

  bool operator==(const FileSettings&) const = default;
};

struct PromptSettings {
  std::string text;
  std::string negative;
  Emphasis emphasis = Emphasis::kAuto;
  bool old_prompt_schedules = false;
  std::vector<std::string> embedding_dir;
  std::string wildcards;

  bool operator==(const PromptSettings&) const = default;
};

struct PictureSettings {
  int64_t width = 0;
  int64_t height = 0;
  int64_t images = 1;
  int64_t batch = 1;
  std::optional<uint64_t> seed = {};

  bool operator==(const PictureSettings&) const = default;
};

struct SamplingSettings {
  std::optional<int64_t> steps = {};
  std::string sampler = "auto";
  std::string schedule = "auto";
  Dialect dialect = Dialect::kFourstep;
  std::vector<double> timesteps = {};
  std::vector<double> sigmas = {};
  std::optional<double> cfg_scale = {};
  std::optional<double> eta = {};
  double s_noise = 1;
  double s_churn = 0;
  std::optional<double> rho = {};

  bool operator==(const SamplingSettings&) const = default;
};

struct NoiseSettings {
  NoiseChoice origin = NoiseChoice::kAuto;
  uint64_t variation_seed = 0;
  double variation_strength = 0;
  int64_t ensd = 0;
  int64_t seed_width = 0;
  int64_t seed_height = 0;

  bool operator==(const NoiseSettings&) const = default;
};

struct NetworkSettings {
  int64_t clip_skip = 0;
  EmptyNegative empty_negative = EmptyNegative::kAuto;
  PredictionChoice prediction = PredictionChoice::kAuto;
  std::optional<bool> zero_snr;
  Precision precision = Precision::kAuto;
  Precision vae_precision = Precision::kAuto;
  int64_t vae_tile = 0;

  bool operator==(const NetworkSettings&) const = default;
};

/// A second pass at a larger size, from the latent of the first.
struct HiresSettings {
  double scale = 1;
  int64_t steps = 0;
  double denoise = 0.7;
  LatentUpscale upscale = LatentUpscale::kNearestExact;

  bool operator==(const HiresSettings&) const = default;
};

/// "FILE", "FILE:0.7", "FILE:0.7:0.5", "FILE:0@0,1@2"; several separated by ';'. One weight is for
/// the text encoders too, as it is at step 0.
/// Throws InvalidRequest when a file is named without a name, for weights that
/// step_weights_from_text() refuses, and for a TEXT_WEIGHT that is not one number.
void value_from_text(const FieldInfo& field, std::string_view text, std::vector<LoraUse>& value);
std::string text_from_value(const std::vector<LoraUse>& value);

/// The UNet's weight, for work without steps. Throws InvalidRequest naming the file when it changes
/// over them.
double single_weight(const LoraUse& use);

/// Any spelling that dialect_from_name() knows; printed by its first one.
void value_from_text(const FieldInfo& field, std::string_view text, Dialect& value);
std::string text_from_value(Dialect value);

}  // namespace fourstep
