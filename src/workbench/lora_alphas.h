#pragma once
// Where alpha is kept by styles that have no tensor for it.

#include <map>
#include <optional>
#include <set>
#include <string>

#include "io/file_metadata.h"
#include "lora/lora_file.h"
#include "lora/lora_stack.h"

namespace fourstep {

inline constexpr const char* kAdapterMetadata = "lora_adapter_metadata";
/// The same entry while the file is in a style with alpha tensors, which diffusers would refuse beside it.
inline constexpr const char* kParkedAdapterMetadata = "fourstep.lora_adapter_metadata";

/// PEFT's configuration of each component as diffusers writes it: rank and alpha, exceptions as patterns.
/// modules: low-rank ones. biased: components with biases beside their factors (PEFT's lora_bias).
std::string adapter_metadata(const std::map<ParameterId, LoraModule>& modules,
                             const std::set<Component>& biased = {});

/// Whether the entry gives every module the factor that it has.
bool agrees(const std::string& adapter_metadata, const std::map<ParameterId, LoraModule>& modules);

/// Types and shapes that alpha tensors had, so that they can be made again bit by bit: metadata entry
/// `fourstep.lora_alphas`, by parameter, the most frequent form under "*". The usual form (type of the down
/// factor, shape []) is not noted.
class AlphaForms {
 public:
  AlphaForms() = default;  ///< all usual
  /// From a file's metadata; broken entries count as absent.
  explicit AlphaForms(const Metadata& metadata);
  /// From the tensors of a file; undefined: the module has no alpha.
  explicit AlphaForms(const std::map<ParameterId, Tensor>& alphas,
                      const std::map<ParameterId, LoraModule>& modules);

  /// Adds the entry, or takes it away when all forms are the usual one.
  void write(Metadata& metadata) const;

  /// The alpha tensor of a module; undefined when it had none.
  Tensor make(const ParameterId& id, const LoraModule& module) const;

 private:
  std::map<std::string, std::string> forms_;
};

/// alpha of a module: stored, or what its factor amounts to.
double alpha_of(const LoraModule& module);

}  // namespace fourstep
