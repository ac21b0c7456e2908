#pragma once
// "<lora:name:0.8>" and its relatives: networks named inside a prompt, and taken out of it before it is read.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/step_weights.h"

namespace fourstep {

/// <type:a:b:key=value>
struct NetworkTag {
  std::string type;
  std::vector<std::string> positional;
  std::map<std::string, std::string> named;
};

struct TaggedPrompt {
  std::string text;  ///< the prompt without its tags
  std::vector<NetworkTag> tags;
};

/// Takes any bytes and never fails. Source: the behaviour of A1111's and Forge's extra networks.
TaggedPrompt parse_network_tags(std::string_view prompt);

/// What a tag asks of a LoRA.
struct LoraTag {
  std::string name;
  double text_weight = 1;            ///< of step 0: text encoders run once, before it
  StepWeights unet_weight = {};      ///< the text encoders' where the tag gives one
  std::vector<std::string> ignored;  ///< names of settings that have no effect here, such as "dyn"
};

/// <lora:NAME>, <lora:NAME:TEXT>, <lora:NAME:TEXT:UNET>, with te= and unet= instead of the numbers; "lyco" is
/// another word for "lora". Weights may change over the steps (step_weights_from_text()). Nothing for tags of another
/// type. Throws InvalidRequest naming the tag when it has no name or a weight is none.
std::optional<LoraTag> lora_tag(const NetworkTag& tag);

}  // namespace fourstep
