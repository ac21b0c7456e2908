#pragma once
// From one key style to another without loss: factors keep their bits, and what a style has no
// tensor for goes into the metadata, so that the way back returns the same tensors.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/tensor_file.h"
#include "lora/lora_file.h"
#include "workbench/lora_styles.h"

namespace fourstep {

struct ConvertOptions {
  LoraStyle to = LoraStyle::kKohya;
  std::optional<torch::ScalarType> dtype = {};  ///< of the factors; nothing: as they are
  /// alpha / rank goes into the up factor (peft and diffusers alone): for programs that do not read
  /// `lora_adapter_metadata`. Exact for powers of two, else rounded once.
  bool folds_alpha = false;
  bool drops_embeddings = false;  ///< leaves bundled embeddings out
};

struct ConvertedLora {
  NamedTensors tensors;
  Metadata metadata;
  size_t num_modules = 0;
  size_t num_scaled = 0;  ///< modules whose alpha / rank is not 1 and stands in the metadata alone
  std::string layout;     ///< what the file fits
  BundledEmbeddings embeddings;  ///< those that the file keeps
};

/// Throws Error naming the key when a module has no place in any of `layouts`, or the style cannot
/// express it (LoHa, LoKr, Tucker forms, full differences, GLoRA, OFT and IA3 in peft and
/// diffusers; whole biases outside of peft; fused projections), and InvalidRequest when options
/// contradict each other. Modules of rank 0 are left out.
ConvertedLora convert_lora(const LoraSource& source, const std::vector<LoraLayout>& layouts,
                           const ConvertOptions& options);

}  // namespace fourstep
