#pragma once
// Names for torch's types that every folder uses, and the shape check at public functions.

#include <torch/types.h>

#include <map>
#include <string>
#include <vector>

namespace fourstep {

using torch::Tensor;
using Shape = std::vector<int64_t>;

/// Tensors by parameter name, sorted. Weights are mostly views of a mapped file (see
/// io/tensor_file.h).
using NamedTensors = std::map<std::string, Tensor>;
using NamedShapes = std::map<std::string, Shape>;

Shape shape_of(const Tensor& tensor);
NamedShapes shapes_of(const NamedTensors& tensors);

/// `tensor`, or a copy with the same strides where its first element is not aligned to the
/// element's size, as views of mapped files may be; of a scaled weight (base/scaled_weight.h) its
/// values in fp32. To be called before a torch function reads the data of a weight: compiled loops
/// may trap on other addresses. CPU tensors.
Tensor aligned(const Tensor& tensor);

/// "[320,4,3,3]".
std::string to_string(const Shape& shape);

/// Throws Error unless `tensor` has the shape `expected`, in which -1 admits any length.
/// what: the operation and tensor to name, for instance "UNet::forward: context".
void check_shape(const Tensor& tensor, const Shape& expected, const std::string& what);

}  // namespace fourstep
