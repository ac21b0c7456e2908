#pragma once
// Names for torch's types that every folder uses, and the shape check at public functions.

#include <torch/types.h>

#include <map>
#include <string>
#include <vector>

namespace fourstep {

using torch::Tensor;
using Shape = std::vector<int64_t>;

/// Tensors by parameter name, sorted. Weights are mostly views of a mapped file (see io/tensor_file.h).
using NamedTensors = std::map<std::string, Tensor>;
using NamedShapes = std::map<std::string, Shape>;

Shape shape_of(const Tensor& tensor);
NamedShapes shapes_of(const NamedTensors& tensors);

/// "[320,4,3,3]".
std::string to_string(const Shape& shape);

/// Throws Error unless `tensor` has the shape `expected`, in which -1 admits any length.
/// what: the operation and tensor to name, for instance "UNet::forward: context".
void check_shape(const Tensor& tensor, const Shape& expected, const std::string& what);

}  // namespace fourstep
