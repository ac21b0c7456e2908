#pragma once
// Random network weights that a Python script can make again bit by bit, so that golden files hold
// only inputs and outputs. tests/oracle/random_weights.py is the twin of this file.

#include <cstdint>
#include <string_view>

#include "base/tensor.h"

namespace fourstep::testing {

/// CRC-32 (polynomial 0xEDB88320, as in zip and Python's zlib.crc32) of the bytes of `text`.
uint32_t crc32(std::string_view text);

/// One fp32 tensor per name: standard normal numbers of torch's CPU generator seeded with
/// crc32(name), then, by the name and shape,
///   - name ends with ".bias": 0.1 * randn,
///   - one-dimensional otherwise (the weight of a LayerNorm or GroupNorm): 1 + 0.1 * randn,
///   - else randn / sqrt(fan_in), fan_in being the number of elements per row of the first
/// dimension.
NamedTensors random_weights(const NamedShapes& shapes);

}  // namespace fourstep::testing
