#pragma once
// The safetensors names of element types and libtorch's types for them.

#include <optional>
#include <string_view>

#include "base/tensor.h"

namespace fourstep {

struct FileDtype {
  std::string_view name;  ///< as in the file: "BF16"
  int bits = 0;           ///< of one element; 4 and 6 for types that libtorch cannot hold
  std::optional<torch::ScalarType> scalar_type;
};

/// Null for a name that the format does not know; names are case-sensitive.
const FileDtype* find_file_dtype(std::string_view name);

/// Null for a type without a name in the format (complex double, quantised types).
const FileDtype* find_file_dtype(torch::ScalarType scalar_type);

}  // namespace fourstep
