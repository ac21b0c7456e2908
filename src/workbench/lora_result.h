#pragma once
// A LoRA file made from others, and what its metadata tells about them.

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "io/tensor_file.h"
#include "lora/lora_file.h"
#include "lora/lora_match.h"
#include "workbench/lora_fit.h"

namespace fourstep {

// Where alpha is kept by styles that have no tensor for it.

inline constexpr const char* kAdapterMetadata = "lora_adapter_metadata";
/// The same entry while the file is in a style with alpha tensors, which diffusers would refuse
/// beside it.
inline constexpr const char* kParkedAdapterMetadata = "fourstep.lora_adapter_metadata";

/// PEFT's configuration of each component as diffusers writes it: rank and alpha, exceptions as
/// patterns.
/// modules: low-rank ones. biased: components with biases beside their factors (PEFT's lora_bias).
std::string adapter_metadata(const std::map<ParameterId, LoraModule>& modules,
                             const std::set<Component>& biased = {});

/// Whether the entry gives every module the factor that it has.
bool agrees(const std::string& adapter_metadata, const std::map<ParameterId, LoraModule>& modules);

/// Types and shapes that alpha tensors had, so that they can be made again bit by bit: metadata
/// entry `fourstep.lora_alphas`, by parameter, the most frequent form under "*". The usual form
/// (type of the down factor, shape []) is not noted.
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

/// One of the files that a result was made from.
struct LoraPart {
  std::filesystem::path path;
  double weight = 1;
  std::string note;  ///< of the weights: "text encoders 0.5", block weights; may be empty
  Metadata metadata;
};

/// The facts that parts and their result have in common (base model, architecture), licences,
/// titles and trigger words of all parts, `modelspec.merged_from`, and under "fourstep.made_from"
/// what was done (`operation`) with which file, weight and SHA-256. modules: of the result, for
/// rank and alpha.
Metadata result_metadata(const std::string& operation, const std::vector<LoraPart>& parts,
                         const std::map<ParameterId, LoraModule>& modules);

/// Kohya's style, factors in `dtype`, embeddings as they are; whole or not at all. Returns the
/// relative error of what the rounding to `dtype` changed: ||written - modules|| / ||modules||, 0
/// when all types agree; modules whose change depends on the model's weight do not count.
double write_lora(const std::filesystem::path& path,
                  const std::map<ParameterId, LoraModule>& modules, const LoraLayout& layout,
                  torch::ScalarType dtype, const Metadata& metadata,
                  const BundledEmbeddings& embeddings = {});

/// "fp32", "fp16", "bf16". Throws InvalidRequest for other words.
torch::ScalarType lora_dtype_from_text(const std::string& text);

/// The type with the most digits among the factors of all: what a result is written in by default.
torch::ScalarType widest_type(const std::vector<std::map<ParameterId, LoraModule>>& parts);

}  // namespace fourstep
