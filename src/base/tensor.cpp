#include "base/tensor.h"

#include <fmt/ranges.h>

#include "base/error.h"

namespace fourstep {

Shape shape_of(const Tensor& tensor) { return tensor.sizes().vec(); }

NamedShapes shapes_of(const NamedTensors& tensors) {
  NamedShapes shapes;
  for (const auto& [name, tensor] : tensors) shapes[name] = shape_of(tensor);
  return shapes;
}

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ",")); }

void check_shape(const Tensor& tensor, const Shape& expected, const std::string& what) {
  const Shape got = shape_of(tensor);
  bool fits = got.size() == expected.size();
  for (size_t i = 0; fits && i < got.size(); ++i) fits = expected[i] == -1 || expected[i] == got[i];
  if (!fits) throw Error("{}: shape {}, expected {}", what, to_string(got), to_string(expected));
}

}  // namespace fourstep
