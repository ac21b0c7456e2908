#pragma once
// Reading an architecture off the shapes of its weights, with errors that name the weight.

#include <torch/nn/module.h>

#include <string>

#include "base/tensor.h"

namespace fourstep {

class ShapeReader {
 public:
  /// shapes must outlive the reader. what: file and part for messages, "x.safetensors: unet".
  ShapeReader(const NamedShapes& shapes, std::string what);

  bool has(const std::string& name) const { return shapes_.count(name) != 0; }

  /// Dimension `dim` of a weight of rank `rank`. Throws Error when the weight is missing, has
  /// another rank, or the dimension is not positive.
  int64_t dim(const std::string& name, int64_t dim, size_t rank) const;

  /// As dim(), and a multiple of 32: the width of a group norm.
  int64_t norm_width(const std::string& name, int64_t dim, size_t rank) const;

  /// How many names prefix + "0" + suffix, prefix + "1" + suffix, ... there are without a gap.
  int64_t count(const std::string& prefix, const std::string& suffix) const;

  /// Throws Error naming the first weight of `module` that `shapes` has not or has in another
  /// shape, else the first name that the module does not know.
  void check_layout(const torch::nn::Module& module) const;

  const std::string& what() const { return what_; }

 private:
  const NamedShapes& shapes_;
  std::string what_;
};

}  // namespace fourstep
