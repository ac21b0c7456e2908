#pragma once
// The key tables under tests/golden/keys as C++ values.

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "io/key_names.h"
#include "support/golden.h"

namespace fourstep::testing {

/// A row of sdxl.json or sd15.json.
struct TableRow {
  KeyRow row;
  Shape shape;  ///< in the single file
};

inline KeyOp key_op(const std::string& name) {
  static const std::map<std::string, KeyOp> ops = {{"copy", KeyOp::kCopy},
                                                   {"squeeze_1x1", KeyOp::kSqueeze1x1},
                                                   {"split3", KeyOp::kSplit3},
                                                   {"transpose", KeyOp::kTranspose},
                                                   {"drop", KeyOp::kDrop}};
  return ops.at(name);
}

inline Component component_named(const std::string& name) {
  for (const Component component : all_components())
    if (name == to_string(component)) return component;
  throw std::out_of_range(name);
}

/// Rows of a single-file table: key, component, target(s), operation, shape.
inline std::vector<TableRow> table_rows(const nlohmann::json& table) {
  std::vector<TableRow> rows;
  for (const auto& item : table["rows"]) {
    TableRow row{{item[0], component_named(item[1]), {}, key_op(item[3])}, item[4]};
    if (item[2].is_string()) row.row.targets = {item[2]};
    if (item[2].is_array()) row.row.targets = item[2].get<std::vector<std::string>>();
    rows.push_back(row);
  }
  return rows;
}

inline NamedShapes file_shapes(const std::vector<TableRow>& rows) {
  NamedShapes shapes;
  for (const TableRow& row : rows) shapes[row.row.key] = row.shape;
  return shapes;
}

/// Tensors without storage: names and shapes of a full-size model at no cost.
inline NamedTensors meta_tensors(const NamedShapes& shapes) {
  NamedTensors tensors;
  for (const auto& [name, shape] : shapes)
    tensors[name] =
        torch::empty(shape, torch::TensorOptions().device(torch::kMeta).dtype(torch::kHalf));
  return tensors;
}

/// The ldm names (column 0, with `prefix`) or diffusers names (column 1) of a UNet table.
inline NamedShapes unet_column(const nlohmann::json& table, int column,
                               const std::string& prefix = "") {
  NamedShapes shapes;
  for (const auto& item : table["rows"])
    shapes[prefix + item[column].get<std::string>()] = item[2].get<Shape>();
  return shapes;
}

inline int64_t parameters_of(const NamedTensors& tensors) {
  int64_t sum = 0;
  for (const auto& [name, tensor] : tensors) sum += tensor.numel();
  return sum;
}

inline int64_t parameters_of(const NamedShapes& shapes) {
  return parameters_of(meta_tensors(shapes));
}

}  // namespace fourstep::testing
