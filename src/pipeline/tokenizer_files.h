#pragma once
// The tokenizer folders of a diffusers folder.

#include <map>
#include <string>

#include "io/checkpoint.h"

namespace fourstep {

/// Text by path inside the folder ("tokenizer/vocab.json", ...) for the text encoders that the checkpoint has, from
/// the vocabulary that find_vocabulary() gives. Source of names and values: the published folders of SDXL base 1.0
/// (whose second tokenizer pads with "!").
std::map<std::string, std::string> tokenizer_files(const Checkpoint& checkpoint);

}  // namespace fourstep
