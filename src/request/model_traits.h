#pragma once
// What is known of a model before it is loaded. Of distillation names and metadata tell: whether a
// LoRA is DMD2's, and how much of it lies in a checkpoint.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/step_weights.h"
#include "io/tensor_file.h"
#include "sampling/noise_schedule.h"
#include "sampling/parameterization.h"

namespace fourstep {

bool mentions_dmd2(const std::string& text);

/// Whether a file's name is that of another distillation into few steps: Lightning, Hyper-SD, LCM,
/// Turbo, TCD, PCM, Flash.
bool mentions_other_distillation(const std::string& file_name);

/// What tells which LoRA a file is.
struct LoraSigns {
  std::string file_name;
  Metadata metadata = {};
  size_t num_unet_modules = 0, num_text_modules = 0;
  int64_t rank = 0;
  double factor = 1;  ///< alpha / rank
};
/// DMD2's: "dmd2" in the file's name, its title or the names of the parts that it was made from, or
/// the shape of the public one: 788 UNet modules of rank 64 and factor 1/8 without text encoder.
bool looks_like_dmd2(const LoraSigns& lora);

/// The weight of DMD2 LoRAs in a checkpoint as its metadata tell: the sum over our merge recipes,
/// also those of the base, so that what was taken out again does not count; 1 where another text
/// says "dmd2"; nothing where none does.
std::optional<double> merged_dmd2_weight(const Metadata& metadata);

/// How many steps a model was made for.
enum class ModelKind {
  kPlain,     ///< not distilled: many steps with guidance
  kDistilled  ///< DMD2 in four steps without guidance
};

/// A LoRA in use, as far as its kind matters.
struct LoraTraits {
  std::string file_name;
  StepWeights unet_weight = {};
  double text_weight = 1;
  bool is_dmd2 = false;  ///< see looks_like_dmd2()
  bool has_text_part = true;
};

/// What is known of a model before it is loaded.
struct ModelTraits {
  std::string file_name;                   ///< of the checkpoint
  std::optional<double> merged_dmd2 = {};  ///< see merged_dmd2_weight()
  int64_t native_side = 1024;              ///< px: SDXL 1024, SD 1.5 512
  std::string known_words =
      {};  ///< all that its captions had, see unknown_words(); empty: not told
  std::vector<LoraTraits> loras = {};
  bool zero_snr = false;                       ///< the file asks for zero terminal SNR
  NetworkOutput output = NetworkOutput::kEps;  ///< of the UNet, by its file
  bool has_two_encoders = true;                ///< SDXL; SD 1.5 has one
};

/// How much of DMD2 the checkpoint has by its metadata, else 1 where its name says "dmd2"; and that
/// with the LoRAs of the request, each where it is strongest.
double merged_dmd2(const ModelTraits& traits);
double dmd2_in_all(const ModelTraits& traits);

/// kDistilled for a DMD2 LoRA in the request, or a checkpoint with a quarter of it or more; but
/// kPlain again where DMD2 LoRAs of negative weight take half of it or more out of such a
/// checkpoint.
ModelKind kind_of(const ModelTraits& traits);

/// How many steps a distilled model was made for: 4, or 1 where its name says "1step".
int64_t distilled_steps(const ModelTraits& traits);

/// The noise levels that a distilled model was trained at: timesteps 999, 749, 499, 249, or 399 of
/// the one-step model.
std::vector<double> trained_sigmas(const ModelTraits& traits, const NoiseSchedule& schedule);

}  // namespace fourstep
