#include "nets/shape_reader.h"

#include "base/error.h"

namespace fourstep {

ShapeReader::ShapeReader(const NamedShapes& shapes, std::string what)
    : shapes_(shapes), what_(std::move(what)) {}

int64_t ShapeReader::dim(const std::string& name, int64_t dim, size_t rank) const {
  const auto found = shapes_.find(name);
  if (found == shapes_.end()) {
    throw Error("{}: weight \"{}\" is missing; is the file complete and of this model family?",
                what_, name);
  }
  const Shape& shape = found->second;
  if (shape.size() != rank || shape[dim] <= 0) {
    throw Error("{}: weight \"{}\": shape {}, expected rank {} and no empty dimension", what_, name,
                to_string(shape), rank);
  }
  return shape[dim];
}

int64_t ShapeReader::norm_width(const std::string& name, int64_t dim, size_t rank) const {
  const int64_t width = this->dim(name, dim, rank);
  if (width % 32 != 0) {
    throw Error("{}: weight \"{}\": width {} is not a multiple of the 32 groups of a group norm",
                what_, name, width);
  }
  return width;
}

int64_t ShapeReader::count(const std::string& prefix, const std::string& suffix) const {
  int64_t found = 0;
  while (has(prefix + std::to_string(found) + suffix)) ++found;
  return found;
}

void ShapeReader::check_layout(const torch::nn::Module& module) const {
  const auto parameters = module.named_parameters();
  for (const auto& item : parameters) {
    const auto found = shapes_.find(item.key());
    if (found == shapes_.end()) {
      throw Error("{}: weight \"{}\" is missing; is the file complete?", what_, item.key());
    }
    if (found->second != shape_of(item.value())) {
      throw Error("{}: weight \"{}\": shape {}, expected {} from the rest of the layout", what_,
                  item.key(), to_string(found->second), to_string(shape_of(item.value())));
    }
  }
  for (const auto& [name, shape] : shapes_) {
    if (!parameters.contains(name)) {
      throw Error("{}: weight \"{}\" is not part of this layout; is it another model family?",
                  what_, name);
    }
  }
}

}  // namespace fourstep
