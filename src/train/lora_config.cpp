#include "train/lora_config.h"

#include "base/error.h"

namespace fourstep {

void validate(const LoraTrainConfig& config) {
  if (config.model.empty()) throw InvalidRequest("train-lora: name the checkpoint with --model");
  if (config.data.empty())
    throw InvalidRequest("train-lora: name the folder of images with --data");
  check_word("--targets", config.targets, {"attention", "transformer", "full"});
  check_word("--prediction", config.prediction, {"auto", "epsilon", "v_prediction"});
  check_word("--precision", config.precision, {"auto", "fp32", "bf16", "fp16"});
}

}  // namespace fourstep
