#pragma once
// Why a LoRA does nothing or looks wrong on a model, as far as the two files can tell. What
// sampler, schedule and guidance have to do with it is for those who know the request.

#include <filesystem>
#include <string>
#include <vector>

#include "base/events.h"
#include "io/checkpoint.h"
#include "lora/lora_match.h"
#include "workbench/storage.h"

namespace fourstep {

struct Finding {
  bool is_problem = false;
  std::string code;      ///< stays the same when the words change: "matched", "scale", ...
  std::string sentence;  ///< what was found, with the numbers
  std::string remedy;    ///< what to do; empty where nothing is to do
};

struct StorageLoss {
  Storage storage = Storage::kFp16;
  RoundingLoss loss;
};

struct Examination {
  std::vector<Finding> findings;
  double relative_change =
      0;  ///< norm of weight * D over that of the weights, all modules together
  std::vector<StorageLoss> losses;  ///< of merging into fp16, bf16, fp8, int8
};

/// weight: the strength the user gives the LoRA.
/// Findings: "matched" (the first), "switched-off", "scale", "change", "text-encoder",
/// "already-merged", "precision". Reports kLoad. Throws Error when a file cannot be read or is no
/// model or LoRA; a LoRA that does not fit is a finding.
Examination examine(const std::filesystem::path& model, const std::filesystem::path& lora,
                    double weight, const Events& events);

}  // namespace fourstep
