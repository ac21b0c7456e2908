#pragma once
// The kinds of modules whose change depends on the weight they meet: GLoRA, OFT, BOFT, IA3 and
// replaced weights. (DoRA does, too, but on top of other kinds: see fuse.h.) Where LyCORIS, which
// trains most of them, and programs that load them differ, LyCORIS counts:
//   OFT, BOFT  the limit of the rotations is alpha * out, as in sd-scripts and A1111 (ComfyUI:
// alpha); a weight s makes
//              R to I + s (R - I) in every stage; the factors `rescale` count in full at every
// weight. (ComfyUI leaves
//              them out of OFT, and multiplies the whole change by s once more.)
//   GLoRA, IA3 linear in s everywhere.
//   Replaced   in full at any s but 0, as PEFT's modules_to_save and ComfyUI's set_weight.

#include <cstdint>

#include "base/tensor.h"
#include "lora/lora_file.h"

namespace fourstep {

bool is_relative(const LoraModule& module);

/// "LoRA", "LoHa", "GLoRA", "BOFT", ...: the word for any kind of module, DoRA left out.
const char* kind_of(const LoraModule& module);

/// Whether the module, which is_relative(), can change a weight of shape `target`.
bool fits_relative(const LoraModule& module, const Shape& target);

/// W' - W at `weight`, fp32, DoRA left out. w: fp32, any device, of a shape that fits.
/// Sources: GLoRA: 2306.07967, eq. 8, as lycoris/modules/glora.py has it; OFT: 2306.07280, eq. 4,
/// and modules/diag_oft.py; BOFT: 2311.06243, sec. 4, and functional/boft.py; IA3: modules/ia3.py;
/// LyCORIS 4.1.3.
Tensor relative_change(const LoraModule& module, const Tensor& w, double weight);

/// The extents of the weight that the module was made for: rows and columns, -1 for what it does
/// not show.
Shape relative_extents(const LoraModule& module);

/// As take_rows() for a module that is_relative(). Throws Error for OFT, which mixes all rows.
void take_relative_rows(LoraModule& module, int64_t begin, int64_t count);

}  // namespace fourstep
