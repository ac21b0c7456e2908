#pragma once
// The correspondence between the tensors of a single-file checkpoint and diffusers' parameters:
// names, and what to do with a tensor on the way. The way back is in single_file.h.
// Source: the conversion code of diffusers and ComfyUI; bigG's text_projection is transposed
// between the two layouts (open_clip multiplies x @ P, transformers has a Linear).

#include <map>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "io/model_family.h"

namespace fourstep {

/// What turns a single-file tensor into diffusers' parameter(s).
enum class KeyOp {
  kCopy,
  kSqueeze1x1,  ///< [C,C,1,1] convolution weight -> [C,C] linear weight
  kSplit3,      ///< dim 0 in three equal parts: q, k, v
  kTranspose,   ///< 2-D
  kDrop         ///< no counterpart: position_ids is 0..76, logit_scale is not used for sampling
};

struct KeyRow {
  std::string key;  ///< name in the file
  Component component = Component::kUnet;
  std::vector<std::string>
      targets;  ///< diffusers names: three for kSplit3, none for kDrop, else one
  KeyOp op = KeyOp::kCopy;
};

struct KeyTable {
  std::vector<KeyRow> rows;
  std::vector<std::string> ignored;  ///< EMA copies, noise schedule, training state, markers
  std::vector<std::string> unknown;
};

/// All tensors of a file, marks of quantisation taken out (quantisation.h): a single-file
/// checkpoint with the prefixes of ldm, sgm, ComfyUI or diffusers, or one network alone without
/// prefix, in either layout. Each target occurs once (a second claim is "unknown").
KeyTable key_table(const NamedShapes& file);
/// The same for the tensors of one component without prefix, in either layout: a diffusers folder's
/// file.
/// With the names of older programs: query/key/value/proj_attn in the VAE, no "text_model." in text
/// encoders.
KeyTable component_key_table(Component component, const NamedShapes& tensors);

/// Puts the view(s) of `tensor` that the row asks for into `components`: no copy.
/// Throws Error naming the key when the tensor has not the rank or length that the operation needs.
void apply_row(const KeyRow& row, const Tensor& tensor,
               std::map<Component, NamedTensors>& components);
/// apply_row for all rows; `tensors` has all of their keys.
void apply_rows(const std::vector<KeyRow>& rows, const NamedTensors& tensors,
                std::map<Component, NamedTensors>& components);

}  // namespace fourstep
