#include "base/tensor.h"

#include <fmt/ranges.h>

#include <cstdint>
#include <cstring>

#include "base/error.h"
#include "base/scaled_weight.h"

namespace fourstep {

Shape shape_of(const Tensor& tensor) { return tensor.sizes().vec(); }

NamedShapes shapes_of(const NamedTensors& tensors) {
  NamedShapes shapes;
  for (const auto& [name, tensor] : tensors) shapes[name] = shape_of(tensor);
  return shapes;
}

Tensor aligned(const Tensor& tensor) {
  if (tensor.is_meta()) return scaled_values(tensor);
  if (!tensor.is_cpu() || tensor.numel() == 0) return tensor;
  const auto address = reinterpret_cast<uintptr_t>(tensor.const_data_ptr());
  if (address % static_cast<uintptr_t>(tensor.element_size()) == 0) return tensor;
  int64_t reach = 1;  // elements from the first to the last in memory
  for (int64_t i = 0; i < tensor.dim(); ++i) reach += (tensor.size(i) - 1) * tensor.stride(i);
  const Tensor copy = torch::empty({reach}, tensor.options());
  std::memcpy(copy.mutable_data_ptr(), tensor.const_data_ptr(), copy.nbytes());
  return copy.as_strided(tensor.sizes(), tensor.strides());
}

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ",")); }

void check_shape(const Tensor& tensor, const Shape& expected, const std::string& what) {
  const Shape got = shape_of(tensor);
  bool fits = got.size() == expected.size();
  for (size_t i = 0; fits && i < got.size(); ++i) fits = expected[i] == -1 || expected[i] == got[i];
  if (!fits) throw Error("{}: shape {}, expected {}", what, to_string(got), to_string(expected));
}

}  // namespace fourstep
