#pragma once
// The LoRAs that are fused into a model at the moment. A change of files or weights re-fuses exactly the parameters
// that it concerns, each from its pristine weight, so that taking a LoRA off restores the model to the bit.

#include <compare>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "io/checkpoint.h"
#include "lora/fuse.h"
#include "lora/lora_match.h"

namespace fourstep {

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

/// What `loras` add to each weight, in canonical form (canonical_terms()); weights that stay as they are have
/// no entry. Throws InvalidRequest when a weight is not finite.
LoraTerms terms_by_parameter(const std::vector<AppliedLora>& loras);

/// Not safe for use from several threads at once (each fusion uses all of them itself).
class LoraStack {
 public:
  /// Gives the model the fused weight of one parameter: fuse_into() a tensor of its own from `pristine` and
  /// `terms`, which are empty for a parameter that no LoRA changes any more. When it throws, the model has the old one.
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
