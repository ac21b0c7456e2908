#pragma once
// The blocks of a UNet under the names of the extension sd-webui-lora-block-weight, and weights per
// block.

#include <map>
#include <string>
#include <vector>

#include "lora/lora_match.h"
#include "workbench/lora_layouts.h"

namespace fourstep {

/// "BASE" (text encoders), "IN00".."IN11", "MID", "OUT00".."OUT11" (the numbers of ldm's
/// input_blocks and output_blocks), "OTHER" (time and label embeddings, out).
std::string block_of(const ParameterId& id, const LoraLayout& layout);

/// The same with the text encoders apart: "TE1", "TE2".
std::string shown_block(const ParameterId& id, const LoraLayout& layout);

/// Orders names of blocks as they run, text encoders first, OTHER last.
struct BlockOrder {
  bool operator()(const std::string& a, const std::string& b) const;
};

/// A factor per block or per module.
struct BlockWeights {
  std::map<std::string, double>
      by_name;  ///< block, or beginning of a diffusers name ("down_blocks.1.")
};

/// text: a list of 12 (BASE, IN04, IN05, IN07, IN08, MID, OUT00-05), 17, 20 or 26 numbers as the
/// extension has them, or a name of its presets ("MIDD", "OUTALL": 17 numbers); blocks that a list
/// leaves out get 0, as there. Or "IN04=0.5,MID=0,down_blocks.1=2", where blocks that are not named
/// get 1. Empty: all 1.
/// Throws InvalidRequest for anything else, and for weights that are not finite.
BlockWeights parse_block_weights(const std::string& text);

/// The product of the entries that name the parameter's block or the beginning of its name.
double weight_of(const BlockWeights& weights, const ParameterId& id, const LoraLayout& layout);

}  // namespace fourstep
