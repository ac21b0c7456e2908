#pragma once
// Quantised weights: those that can be read ("scaled fp8", 8-bit floats with factors beside them)
// become weights with their true values, all others are refused by name, so that codes never pass
// for numbers.
// Sources of the layouts: ComfyUI (comfy/utils.py convert_old_quants, comfy/ops.py,
// QUANTIZATION.md) for `scaled_fp8`, `<layer>.scale_weight`, `<layer>.weight_scale`,
// `<layer>.comfy_quant` and the header's `_quantization_metadata`; DeepSeek-V3's weight_dequant and
// vLLM for `<layer>.weight_scale_inv`, which is multiplied with in spite of its name; bitsandbytes,
// AutoGPTQ, AutoAWQ, nunchaku, optimum-quanto, torchao, compressed-tensors, ModelOpt and HQQ for
// the rest.

#include <filesystem>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "io/key_names.h"
#include "io/tensor_file.h"

namespace fourstep {

/// Sorts out what quantisation left in `file` (all shards together, where there are several):
///   - a weight with a scale ("X.weight" beside "X.scale_weight", "X.weight_scale" or
/// "X.weight_scale_inv", one number or
///     one per output, any float) becomes the promise of weight * scale (base/scaled_weight.h);
///   - scales of activations, markers and the header's entry move from `tensors` and `metadata` to
/// `marks`;
///   - where weights cannot be read (another format, scales per block or that are no numbers, marks
/// of 4-bit and integer
///     schemes, types of less than 8 bits), `unreadable` says why, naming file, format and key.
/// Nothing is read but scales and JSON; 8-bit floats without a scale are plain casts and stay as
/// they are.
void read_quantisation(TensorFile& file);

/// open_tensor_file() and read_quantisation().
TensorFile open_weights(const std::filesystem::path& path);

/// Why `file` cannot be read as numbers: what read_quantisation() found, or that a tensor of more
/// than one element has another type than fp64, fp32, fp16, bf16 and fp8 (e4m3fn, e5m2). One
/// sentence naming file, type and key; else empty.
std::string unreadable_file(const TensorFile& file);

/// The same for the tensors of `rows` that hold a parameter: a model may have indices and counters
/// in whole numbers. Where there is something to say, rows of packed tensors that would have to
/// change their shape are taken out.
std::string unreadable_rows(const TensorFile& file, std::vector<KeyRow>& rows);

/// Throws Error with the sentence, unless it is empty.
void check_readable(const std::string& unreadable);

}  // namespace fourstep
