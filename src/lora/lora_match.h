#pragma once
// A LoRA file resolved against a model: for every weight or bias the module that changes it, and
// the list of what found no place, which is an error unless the user allows it.

#include <compare>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "io/checkpoint.h"
#include "io/tensor_file.h"
#include "lora/fuse.h"
#include "lora/lora_file.h"
#include "lora/lora_keys.h"

namespace fourstep {

/// One weight or bias that a LoRA file changes.
struct MatchedModule {
  Component component = Component::kUnet;
  std::string parameter;  ///< diffusers name, with ".weight" or ".bias"
  LoraModule module;
  std::string name = {};  ///< as in the file
};

struct UnmatchedModule {
  std::string name;               ///< as in the file
  std::optional<Shape> got;       ///< when the name is known: rows and columns of the difference,
  std::optional<Shape> expected;  ///< and the shape of the weight that it does not fit
  bool lacks_bias = false;        ///< it adds to a bias, and the layer has none
};

struct LoraMatch {
  std::filesystem::path path;
  std::vector<MatchedModule> matched;
  std::vector<UnmatchedModule> unmatched;   ///< unknown names, wrong shapes, unknown keys
  size_t num_modules = 0;                   ///< of the file, unmatched ones included
  std::map<Component, size_t> num_matched;  ///< modules
  Metadata metadata;                        ///< of the file
  BundledEmbeddings embeddings;             ///< of the file
  std::vector<std::string> notes;           ///< sentences that a user should see once
  std::string likely_cause;                 ///< of the unmatched ones: half a sentence, or empty
};

/// Finds the weight of every module of `file`. Unmatched modules are listed, not refused.
LoraMatch match_lora(const LoraFile& file, const LoraTargets& targets);

/// Throws Error unless every module found its weight; with `is_partial_allowed`, unless at least
/// one did. The message counts, names the first unmatched modules and says the likely cause.
void check_complete(const LoraMatch& match, bool is_partial_allowed = false);

/// "788/788 modules"; with text encoders "986/986 modules (722 unet, 72 text_encoder, 192
/// text_encoder_2)".
std::string summary(const LoraMatch& match);

// The LoRAs that are fused into a model at the moment. A change of files or weights re-fuses
// exactly the parameters that it concerns, each from its pristine weight, so that taking a LoRA off
// restores the model to the bit.

/// A resolved LoRA file and how strongly it counts. Weights: finite; 0 leaves the part out.
struct AppliedLora {
  LoraMatch match;
  double unet_weight = 1;
  double text_weight = 1;  ///< of both text encoders
};

struct ParameterId {
  Component component = Component::kUnet;
  std::string name;  ///< diffusers name
  auto operator<=>(const ParameterId&) const = default;
};

using LoraTerms = std::map<ParameterId, std::vector<WeightedModule>>;

/// What `loras` add to each weight, in canonical form (canonical_terms()); weights that stay as
/// they are have no entry. Throws InvalidRequest when a weight is not finite.
LoraTerms terms_by_parameter(const std::vector<AppliedLora>& loras);

/// Not safe for use from several threads at once (each fusion uses all of them itself).
class LoraStack {
 public:
  /// Gives the model the fused weight of one parameter: fuse_into() a tensor of its own from
  /// `pristine` and `terms`, which are empty for a parameter that no LoRA changes any more. When it
  /// throws, the model has the old one.
  using WriteParameter = std::function<void(const ParameterId&, const Tensor& pristine,
                                            const std::vector<WeightedModule>& terms)>;

  /// pristine: weights by component, diffusers names; views of the mapped file cost no memory.
  explicit LoraStack(std::map<Component, NamedTensors> pristine);

  /// Fuses exactly `loras`: writes every parameter whose sum of changes differs from the
  /// present one (those without any change get the pristine weight) and returns their names.
  /// The order of `loras` has no effect. When `write` throws, the parameters written so far stay
  /// written and are remembered, so that the next call repairs the rest.
  /// Throws InvalidRequest when a weight is not finite, Error when a parameter is unknown.
  std::vector<ParameterId> set(const std::vector<AppliedLora>& loras, const WriteParameter& write);

 private:
  std::vector<ParameterId> changed(const LoraTerms& wanted) const;
  const Tensor& pristine(const ParameterId& id) const;

  std::map<Component, NamedTensors> pristine_;
  LoraTerms current_;  ///< canonical; no entry: pristine
};

}  // namespace fourstep
