#pragma once
// A LoRA file made from others, and what its metadata tells about them.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "io/file_metadata.h"
#include "workbench/lora_fit.h"

namespace fourstep {

/// One of the files that a result was made from.
struct LoraPart {
  std::filesystem::path path;
  double weight = 1;
  std::string note;  ///< of the weights: "text encoders 0.5", block weights; may be empty
  Metadata metadata;
};

/// The facts that parts and their result have in common (base model, architecture), licences, titles and trigger
/// words of all parts, `modelspec.merged_from`, and under "fourstep.made_from" what was done (`operation`) with
/// which file, weight and SHA-256. modules: of the result, for rank and alpha.
Metadata result_metadata(const std::string& operation, const std::vector<LoraPart>& parts,
                         const std::map<ParameterId, LoraModule>& modules);

/// Kohya's style, factors in `dtype`, embeddings as they are; whole or not at all. Returns the relative error of what the rounding to
/// `dtype` changed: ||written - modules|| / ||modules||, 0 when all types agree;
/// modules whose change depends on the model's weight do not count.
double write_lora(const std::filesystem::path& path,
                  const std::map<ParameterId, LoraModule>& modules, const LoraLayout& layout,
                  torch::ScalarType dtype, const Metadata& metadata,
                  const BundledEmbeddings& embeddings = {});

/// "fp32", "fp16", "bf16". Throws InvalidRequest for other words.
torch::ScalarType lora_dtype_from_text(const std::string& text);

/// The type with the most digits among the factors of all: what a result is written in by default.
torch::ScalarType widest_type(const std::vector<std::map<ParameterId, LoraModule>>& parts);

}  // namespace fourstep
